//! `token`: what senders show.

use petrel_spool::ProjectId;
use petrel_wire::UnixNanos;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::users::plain;
use super::{Console, ManageError, project};
use crate::config::Config;
use crate::metadata::{Metadata, TokenOrigin, TokenRecord};

/// What is done with tokens.
#[derive(Clone, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum TokenCommand {
    /// Make one more token for a project, and print its DSN, once.
    Add {
        /// The project's number.
        project: u32,
        /// What it is for: a host, a team, a date.
        #[arg(long, default_value = "")]
        label: String,
    },
    /// List a project's tokens: id, label, origin, when made, when revoked.
    List {
        /// The project's number.
        project: u32,
    },
    /// End a token. A running server turns its senders away within seconds.
    Revoke {
        /// The project's number.
        project: u32,
        /// The token's id from `token list`, or how it begins.
        id: String,
    },
}

pub(super) async fn run(
    config: &Config,
    metadata: &Metadata,
    command: TokenCommand,
    console: &mut impl Console,
) -> Result<(), ManageError> {
    match command {
        TokenCommand::Add {
            project: number,
            label,
        } => {
            let project = project(metadata, number).await?;
            add(config, metadata, project.id, &label, console).await
        }
        TokenCommand::List { project: number } => {
            let project = project(metadata, number).await?;
            console.print("token\tlabel\torigin\tmade\trevoked")?;
            for token in metadata.tokens(project.id).await? {
                let origin = match token.origin {
                    TokenOrigin::Config => "configuration",
                    TokenOrigin::User => "command",
                };
                console.print(&format!(
                    "{}\t{}\t{origin}\t{}\t{}",
                    token.hash.short(),
                    plain(&token.label),
                    moment(token.created),
                    token.revoked.map(moment).unwrap_or_default(),
                ))?;
            }
            Ok(())
        }
        TokenCommand::Revoke {
            project: number,
            id,
        } => {
            let project = project(metadata, number).await?;
            let token = find(metadata.tokens(project.id).await?, number, &id)?;
            if !metadata.revoke_token(project.id, &token.hash).await? {
                return Err(ManageError::NoToken {
                    project: number,
                    id,
                });
            }
            console.tell(&format!(
                "token {} of project {number} is revoked",
                token.hash.short()
            ));
            let mut configured = config.projects.iter();
            if configured
                .any(|project| crate::metadata::TokenHash::of(&project.token) == token.hash)
            {
                console.tell(
                    "warning: the configuration names it (projects[].token): the next start \
                     brings it back unless it is changed there",
                );
            }
            Ok(())
        }
    }
}

/// Makes a token and prints the DSN that shows it.
pub(super) async fn add(
    config: &Config,
    metadata: &Metadata,
    project: ProjectId,
    label: &str,
    console: &mut impl Console,
) -> Result<(), ManageError> {
    let token = metadata.create_token(project, &plain(label)).await?;
    console.tell("the DSN for senders; it is not shown again:");
    Ok(console.print(&config.dsn(&token))?)
}

/// The one live token whose id begins so.
fn find(tokens: Vec<TokenRecord>, project: u32, id: &str) -> Result<TokenRecord, ManageError> {
    let id = id.trim().to_lowercase();
    let mut found = tokens.into_iter().filter(|token| {
        let begins = token.hash.as_str().starts_with(&id);
        token.revoked.is_none() && !id.is_empty() && begins
    });
    match (found.next(), found.next()) {
        (Some(token), None) => Ok(token),
        (Some(_), Some(_)) => Err(ManageError::ManyTokens { project, id }),
        (None, _) => Err(ManageError::NoToken { project, id }),
    }
}

/// To the second, in UTC.
fn moment(time: UnixNanos) -> String {
    let seconds = i64::try_from(time.0 / 1_000_000_000).unwrap_or(i64::MAX);
    let moment = OffsetDateTime::from_unix_timestamp(seconds).ok();
    moment
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_default()
}
