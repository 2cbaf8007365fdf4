//! `project`: what data belongs to.

use petrel_spool::ProjectId;

use super::users::plain;
use super::{Console, ManageError, tokens};
use crate::config::Config;
use crate::metadata::Metadata;

/// What is done with projects.
#[derive(Clone, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum ProjectCommand {
    /// Add a project with a first token, and print its DSN.
    Add {
        /// For people.
        name: String,
        /// The number in addresses and rows; the next one unless given.
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
        id: Option<u32>,
    },
    /// List all projects: number, name, how many live tokens.
    List,
}

pub(super) async fn run(
    config: &Config,
    metadata: &Metadata,
    command: ProjectCommand,
    console: &mut impl Console,
) -> Result<(), ManageError> {
    match command {
        ProjectCommand::Add { name, id } => {
            let name = plain(name.trim());
            if name.is_empty() {
                return Err(ManageError::NoName);
            }
            let made = metadata.create_project(id.map(ProjectId), &name).await?;
            let Some(project) = made else {
                return Err(ManageError::ProjectThere(id.unwrap_or_default()));
            };
            console.tell(&format!("project {}, {name}", project.0));
            tokens::add(config, metadata, project, "first", console).await
        }
        ProjectCommand::List => {
            console.print("project\tname\ttokens")?;
            for project in metadata.projects().await? {
                let tokens = metadata.tokens(project.id).await?;
                let live = tokens
                    .iter()
                    .filter(|token| token.revoked.is_none())
                    .count();
                console.print(&format!(
                    "{}\t{}\t{live}",
                    project.id.0,
                    plain(&project.name)
                ))?;
            }
            Ok(())
        }
    }
}
