//! `user`: who may look.

use petrel_spool::ProjectId;

use super::{Console, ManageError, project};
use crate::config::Config;
use crate::metadata::{Metadata, NewUser, Sees, User, check_password, generate_password, is_email};

/// What is done with users.
#[derive(Clone, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum UserCommand {
    /// Add somebody who can sign in. The password is asked for, or read from standard input.
    Add {
        /// E-mail address, which is the login.
        email: String,
        /// For people; the address unless given.
        #[arg(long)]
        name: Option<String>,
        /// A project that this user sees; may be repeated. Without, every project.
        #[arg(long = "project", value_name = "NUMBER")]
        projects: Vec<u32>,
        /// Make a password and print it, instead of asking for one.
        #[arg(long)]
        generate: bool,
    },
    /// List everybody: address, name, projects, whether they may sign in.
    List,
    /// Set a new password. Ends every session of the user.
    Passwd {
        /// E-mail address.
        email: String,
        /// Make a password and print it, instead of asking for one.
        #[arg(long)]
        generate: bool,
    },
    /// Remove a user and end every session.
    Remove {
        /// E-mail address.
        email: String,
    },
}

pub(super) async fn run(
    config: &Config,
    metadata: &Metadata,
    command: UserCommand,
    console: &mut impl Console,
) -> Result<(), ManageError> {
    match command {
        UserCommand::Add {
            email,
            name,
            projects,
            generate,
        } => {
            let email = email.trim().to_lowercase();
            if !is_email(&email) {
                return Err(ManageError::BadEmail(email));
            }
            if metadata.user_by_email(&email).await?.is_some() {
                return Err(ManageError::UserThere(email));
            }
            for number in &projects {
                project(metadata, *number).await?;
            }
            let password = password(&email, generate, console)?;
            let sees = if projects.is_empty() {
                Sees::All
            } else {
                Sees::Granted
            };
            let new = NewUser {
                name: name.unwrap_or_else(|| email.clone()),
                email: email.clone(),
                password: password.clone(),
                sees,
            };
            let user = metadata.create_user(new).await?;
            for number in projects {
                metadata.grant(&user.id, ProjectId(number)).await?;
            }
            console.tell(&format!("{email} can sign in at {}", config.site_addr));
            told(generate, &password, console)
        }
        UserCommand::List => {
            console.print("email\tname\tprojects\tsigns in")?;
            for (user, enabled) in metadata.users().await? {
                let projects = seen(metadata, &user).await?;
                let enabled = if enabled { "yes" } else { "no" };
                console.print(&format!(
                    "{}\t{}\t{projects}\t{enabled}",
                    user.email,
                    plain(&user.name)
                ))?;
            }
            Ok(())
        }
        UserCommand::Passwd { email, generate } => {
            let user = known(metadata, &email).await?;
            let password = password(&user.email, generate, console)?;
            metadata.set_password(&user.id, password.clone()).await?;
            console.tell(&format!(
                "{} has a new password, and every session has ended",
                user.email
            ));
            warn_if_configured(config, &user.email, "sets its password again", console);
            told(generate, &password, console)
        }
        UserCommand::Remove { email } => {
            let user = known(metadata, &email).await?;
            metadata.remove_user(&user.id).await?;
            console.tell(&format!(
                "{} is removed, and every session has ended",
                user.email
            ));
            warn_if_configured(config, &user.email, "brings the user back", console);
            Ok(())
        }
    }
}

/// The configuration's users are upserted at every start.
fn warn_if_configured(config: &Config, email: &str, effect: &str, console: &mut impl Console) {
    let mut users = config.users.iter();
    if users.any(|user| user.email.to_lowercase() == email) {
        console.tell(&format!(
            "warning: the configuration names {email} (auth.users): the next start {effect}"
        ));
    }
}

async fn known(metadata: &Metadata, email: &str) -> Result<User, ManageError> {
    let email = email.trim().to_lowercase();
    let found = metadata.user_by_email(&email).await?;
    found.ok_or(ManageError::NoUser(email))
}

async fn seen(metadata: &Metadata, user: &User) -> Result<String, ManageError> {
    if user.sees == Sees::All {
        return Ok("all".to_owned());
    }
    let projects = metadata.projects_of(user).await?;
    let numbers: Vec<_> = projects
        .iter()
        .map(|project| project.id.0.to_string())
        .collect();
    Ok(numbers.join(","))
}

fn password(
    email: &str,
    generate: bool,
    console: &mut impl Console,
) -> Result<String, ManageError> {
    if generate {
        return Ok(generate_password()?);
    }
    let (first, second) = console.password(email)?;
    if first != second {
        return Err(ManageError::PasswordsDiffer);
    }
    check_password(email, &first).map_err(ManageError::BadPassword)?;
    Ok(first)
}

fn told(generate: bool, password: &str, console: &mut impl Console) -> Result<(), ManageError> {
    if generate {
        console.tell("the password, which is not shown again:");
        console.print(password)?;
    }
    Ok(())
}

/// Names are anybody's words: what moves the cursor or ends the line is left out.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).collect()
}
