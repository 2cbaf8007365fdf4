//! Managing metadata from the command line: `user`, `project` and `token`.
//!
//! They work on the database that the configuration names, whether a server runs on it or not; a
//! running one notices within seconds. What is printed on standard output is the answer and
//! nothing else, so that a script can take it: a DSN, a generated password, a list. A secret is
//! printed once, when it is made, and kept as its hash.

mod console;
mod projects;
mod tokens;
mod users;

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use petrel_spool::ProjectId;
use petrel_wire::SystemClock;

use crate::config::Config;
use crate::metadata::{Database, Metadata, MetadataError, PasswordProblem, Project};

pub use console::{Console, Terminal};
pub use projects::ProjectCommand;
pub use tokens::TokenCommand;
pub use users::UserCommand;

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Of users.
    User(UserCommand),
    /// Of projects.
    Project(ProjectCommand),
    /// Of tokens.
    Token(TokenCommand),
}

impl From<UserCommand> for Command {
    fn from(command: UserCommand) -> Self {
        Self::User(command)
    }
}

impl From<ProjectCommand> for Command {
    fn from(command: ProjectCommand) -> Self {
        Self::Project(command)
    }
}

impl From<TokenCommand> for Command {
    fn from(command: TokenCommand) -> Self {
        Self::Token(command)
    }
}

/// It was not done, and nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManageError {
    /// There is nothing to manage.
    #[error(
        "{0} is not there; is this the configuration of the server? Its first start makes the \
         directory"
    )]
    NoData(PathBuf),
    /// Files of another user's database would be ours, and the server could not open them.
    #[error(
        "{dir} belongs to the user with number {owner}; run this as that user, for example with \
         `sudo -u '#{owner}'`"
    )]
    NotOurs {
        /// Whose data.
        dir: PathBuf,
        /// The owner.
        owner: u32,
    },
    /// The address is no address.
    #[error("{0:?} is not an e-mail address")]
    BadEmail(String),
    /// The address is taken.
    #[error("there is a user {0} already; `user passwd` sets a new password")]
    UserThere(String),
    /// Nobody has it.
    #[error("there is no user {0}; `user list` shows who there is")]
    NoUser(String),
    /// The password is too weak.
    #[error("{0}")]
    BadPassword(PasswordProblem),
    /// Typed twice, and not the same.
    #[error("the passwords are not the same")]
    PasswordsDiffer,
    /// The number is taken.
    #[error("there is a project {0} already; `project list` shows them")]
    ProjectThere(u32),
    /// A name of nothing.
    #[error("a project needs a name")]
    NoName,
    /// Nobody has this number.
    #[error("there is no project {0}; `project list` shows which there are")]
    NoProject(u32),
    /// Nothing begins so.
    #[error("project {project} has no live token {id:?}; `token list {project}` shows them")]
    NoToken {
        /// Whose tokens.
        project: u32,
        /// What was looked for.
        id: String,
    },
    /// Several begin so.
    #[error("several tokens of project {project} begin with {id:?}; give more of it")]
    ManyTokens {
        /// Whose tokens.
        project: u32,
        /// What was looked for.
        id: String,
    },
    /// Nobody can be asked, or told.
    #[error("cannot speak with the terminal")]
    Console(#[from] std::io::Error),
    /// The database.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

/// Does it.
pub async fn run(
    config: &Config,
    command: Command,
    console: &mut impl Console,
) -> Result<(), ManageError> {
    let database = Database::of(config);
    if let Database::Sqlite(_) = database {
        ours(config)?;
    }
    let metadata = Metadata::open(&database, SystemClock::shared()).await?;
    let done = match command {
        Command::User(command) => users::run(config, &metadata, command, console).await,
        Command::Project(command) => projects::run(config, &metadata, command, console).await,
        Command::Token(command) => tokens::run(config, &metadata, command, console).await,
    };
    metadata.close().await;
    done
}

/// Whether files that we make in the data directory are the server's.
pub(crate) fn ours(config: &Config) -> Result<(), ManageError> {
    let dir = &config.data_dir;
    let owner = std::fs::metadata(dir)
        .map_err(|_| ManageError::NoData(dir.clone()))?
        .uid();
    if owner != rustix::process::geteuid().as_raw() {
        return Err(ManageError::NotOurs {
            dir: dir.clone(),
            owner,
        });
    }
    Ok(())
}

async fn project(metadata: &Metadata, number: u32) -> Result<Project, ManageError> {
    let mut projects = metadata.projects().await?.into_iter();
    projects
        .find(|project| project.id == ProjectId(number))
        .ok_or(ManageError::NoProject(number))
}
