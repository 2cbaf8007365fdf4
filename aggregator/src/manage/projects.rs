//! `project`: what data belongs to.

use petrel_spool::ProjectId;

use super::users::plain;
use super::{Console, ManageError, project, tokens};
use crate::config::{Config, LimitKind};
use crate::metadata::{Actor, LimitChange, Metadata};

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
    /// Set what a project may send, beside the configuration, and print what counts. A running
    /// server notices within seconds. Each limit is a number, `none` for as much as there is room
    /// for, or `default` for what the configuration says.
    Limits {
        /// The project's number.
        project: u32,
        /// Unpacked bytes a second, for example 20MiB.
        #[arg(long, value_name = "BYTES", value_parser = change(LimitKind::BytesPerSecond))]
        bytes_per_second: Option<LimitChange>,
        /// Spans, log records and data points a second.
        #[arg(long, value_name = "ITEMS", value_parser = change(LimitKind::ItemsPerSecond))]
        items_per_second: Option<LimitChange>,
        /// New metric series within a clock hour.
        #[arg(long, visible_alias = "series", value_name = "SERIES",
            value_parser = change(LimitKind::SeriesPerHour))]
        series_per_hour: Option<LimitChange>,
        /// New attribute keys within a clock hour.
        #[arg(long, visible_alias = "attribute-keys", value_name = "KEYS",
            value_parser = change(LimitKind::AttributeKeysPerHour))]
        attribute_keys_per_hour: Option<LimitChange>,
    },
}

/// Reads what becomes of a limit.
fn change(
    kind: LimitKind,
) -> impl Fn(&str) -> Result<LimitChange, String> + Clone + Send + Sync + 'static {
    move |text| match text {
        "default" => Ok(LimitChange::Default),
        "none" => Ok(LimitChange::Unlimited),
        number => kind
            .parse(number)
            .map(LimitChange::Most)
            .map_err(|why| format!("{why}; or write none, or default")),
    }
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
        ProjectCommand::Limits {
            project: number,
            bytes_per_second,
            items_per_second,
            series_per_hour,
            attribute_keys_per_hour,
        } => {
            let project = project(metadata, number).await?.id;
            let asked = [
                (LimitKind::BytesPerSecond, bytes_per_second),
                (LimitKind::ItemsPerSecond, items_per_second),
                (LimitKind::SeriesPerHour, series_per_hour),
                (LimitKind::AttributeKeysPerHour, attribute_keys_per_hour),
            ];
            let changes = asked
                .into_iter()
                .filter_map(|(kind, change)| Some((kind, change?)))
                .collect::<Vec<_>>();
            let actor = Actor::command_line(rustix::process::getuid().as_raw());
            metadata.set_limits(project, &actor, &changes).await?;
            show_limits(config, metadata, project, console).await
        }
    }
}

async fn show_limits(
    config: &Config,
    metadata: &Metadata,
    project: ProjectId,
    console: &mut impl Console,
) -> Result<(), ManageError> {
    let limits = metadata.limits().await?;
    let own = limits.get(&project);
    let counts = config.limits.of(project, own);
    console.print("limit\tmost\tset by")?;
    for kind in LimitKind::ALL {
        let most = counts
            .get(kind)
            .map_or_else(|| "none".to_owned(), |most| most.to_string());
        let is_set = own.is_some_and(|own| own.contains_key(&kind));
        let by = match counts.get(kind) {
            _ if is_set => "project limits",
            Some(_) => "configuration",
            None => "",
        };
        console.print(&format!("{}\t{most}\t{by}", kind.name()))?;
    }
    Ok(())
}
