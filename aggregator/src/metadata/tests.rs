//! The same scenarios on SQLite and on PostgreSQL.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use petrel_spool::ProjectId;
use petrel_wire::{AgentId, BatchId, Token, UnixNanos};

use super::*;
use crate::config::{LimitKind, OwnLimits, Project as ConfigProject, Secret, User as ConfigUser};
use crate::documents::Checked;

mod postgres;

/// A clock that a scenario moves.
#[derive(Debug)]
struct Hand(AtomicU64);

impl Hand {
    fn shared() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(1_800_000_000_000_000_000)))
    }

    fn advance(&self, by: Duration) {
        self.0
            .fetch_add(u64::try_from(by.as_nanos()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn wall(&self) -> UnixNanos {
        UnixNanos(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::SeqCst))
    }
}

type Scenario = fn(Metadata, Arc<Hand>) -> Pin<Box<dyn Future<Output = ()>>>;

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() {
                let dir = tempfile::tempdir().unwrap();
                let hand = Hand::shared();
                let database = Database::Sqlite(dir.path().join("meta data?#%.sqlite"));
                let metadata = Metadata::open(&database, Arc::<Hand>::clone(&hand)).await.unwrap();
                scenario::$name(metadata, hand).await;
            }
        )*
        const SCENARIOS: &[(&str, Scenario)] =
            &[$((stringify!($name), |metadata, hand| Box::pin(scenario::$name(metadata, hand)))),*];
    };
}

scenarios!(
    a_token_opens_its_project_until_the_configuration_names_another,
    tokens_of_users_are_revocable_one_by_one,
    a_user_signs_in_with_the_right_password_only,
    a_changed_password_in_the_configuration_ends_the_sessions,
    a_session_ends_when_idle_and_after_a_week,
    whatever_makes_a_session_worthless_ends_it,
    a_user_sees_granted_projects_only,
    the_setup_token_works_once_and_only_while_there_is_nobody,
    no_secret_can_be_read_back,
    projects_are_numbered_from_the_last_one,
    tokens_are_listed_without_being_told,
    a_removed_user_is_gone_with_everything,
    an_import_goes_on_where_it_stood,
    limits_are_changed_together_and_given_back_to_the_configuration,
    a_saved_view_is_listed_changed_and_deleted_and_each_time_it_is_known_by_whom,
    views_are_bounded_and_their_names_unique_on_a_page,
    documents_are_kept_as_written_and_belong_to_one_project,
    a_batch_is_taken_by_one_aggregator_and_known_to_all,
    what_an_owner_gives_up_anybody_may_take,
    what_was_delivered_is_summed_up_and_never_forgotten,
    two_claimants_at_once_get_one_batch_between_them,
);

#[tokio::test]
async fn postgresql_behaves_the_same() {
    let Some(server) = postgres::Server::start().await else {
        eprintln!("SKIPPED: no PostgreSQL under /usr/lib/postgresql; apt-get install postgresql");
        return;
    };
    for (name, scenario) in SCENARIOS {
        eprintln!("on PostgreSQL: {name}");
        let database = server.create_database(&name[..name.len().min(60)]).await;
        let hand = Hand::shared();
        let metadata = Metadata::open(&database, Arc::<Hand>::clone(&hand))
            .await
            .unwrap();
        scenario(metadata.clone(), Arc::clone(&hand)).await;
        metadata.close().await;
    }
    refuses_a_newer_schema(&server.create_database("newer").await).await;
}

#[tokio::test]
async fn a_schema_from_the_future_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    refuses_a_newer_schema(&Database::Sqlite(dir.path().join("meta.sqlite"))).await;
}

async fn refuses_a_newer_schema(database: &Database) {
    let metadata = Metadata::open(database, Hand::shared()).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         SELECT 9000, 'of tomorrow', success, checksum, 1 FROM _sqlx_migrations WHERE version = 1",
    )
    .execute(&metadata.pool)
    .await
    .unwrap();
    metadata.close().await;
    let error = Metadata::open(database, Hand::shared()).await.unwrap_err();
    assert!(
        matches!(error, MetadataError::Newer { version: 9000, .. }),
        "{error}"
    );
}

fn project(id: u32, token: &str) -> ConfigProject {
    ConfigProject {
        id: ProjectId(id),
        name: format!("Project {id}"),
        token: Token::parse(token).unwrap(),
        pinned_attrs: vec!["service.name".to_owned()],
    }
}

fn user(email: &str, password: &str) -> ConfigUser {
    ConfigUser {
        email: email.to_owned(),
        password: Secret::new(password),
        name: "Ada".to_owned(),
    }
}

fn operator() -> Actor {
    Actor::command_line(1000)
}

fn newcomer(email: &str, sees: Sees) -> NewUser {
    NewUser {
        email: email.to_owned(),
        password: "four grey petrels".to_owned(),
        name: "Ada".to_owned(),
        sees,
    }
}

mod scenario {
    use super::*;

    async fn found(metadata: &Metadata, token: &str) -> Option<u32> {
        let token = Token::parse(token).unwrap();
        metadata
            .project_by_token(&token)
            .await
            .unwrap()
            .map(|project| project.id.0)
    }

    pub(super) async fn a_token_opens_its_project_until_the_configuration_names_another(
        metadata: Metadata,
        _hand: Arc<Hand>,
    ) {
        metadata
            .upsert_projects(&[project(1, "one"), project(2, "two")])
            .await
            .unwrap();
        assert_eq!(found(&metadata, "one").await, Some(1));
        assert_eq!(found(&metadata, "two").await, Some(2));
        assert_eq!(found(&metadata, "three").await, None);
        metadata
            .upsert_projects(&[project(1, "uno"), project(2, "two")])
            .await
            .unwrap();
        assert_eq!(found(&metadata, "one").await, None);
        assert_eq!(found(&metadata, "uno").await, Some(1));
        metadata
            .upsert_projects(&[project(1, "one"), project(2, "uno")])
            .await
            .unwrap();
        assert_eq!(found(&metadata, "one").await, Some(1));
        assert_eq!(found(&metadata, "uno").await, Some(2));
        assert_eq!(found(&metadata, "two").await, None);
    }

    pub(super) async fn tokens_of_users_are_revocable_one_by_one(
        metadata: Metadata,
        _hand: Arc<Hand>,
    ) {
        metadata
            .upsert_projects(&[project(1, "one"), project(2, "two")])
            .await
            .unwrap();
        let a = metadata.create_token(ProjectId(1), "laptop").await.unwrap();
        let b = metadata.create_token(ProjectId(1), "edge").await.unwrap();
        assert_ne!(a, b);
        let hash = TokenHash::of(&a);
        assert!(
            !metadata.revoke_token(ProjectId(2), &hash).await.unwrap(),
            "not theirs to end"
        );
        assert!(metadata.revoke_token(ProjectId(1), &hash).await.unwrap());
        assert!(!metadata.revoke_token(ProjectId(1), &hash).await.unwrap());
        assert_eq!(found(&metadata, a.expose()).await, None);
        assert_eq!(found(&metadata, b.expose()).await, Some(1));
        metadata
            .upsert_projects(&[project(1, "one")])
            .await
            .unwrap();
        assert_eq!(
            found(&metadata, b.expose()).await,
            Some(1),
            "a restart keeps it"
        );
    }

    pub(super) async fn a_user_signs_in_with_the_right_password_only(
        metadata: Metadata,
        _hand: Arc<Hand>,
    ) {
        metadata
            .upsert_users(&[user("Uptrace@localhost", "uptrace")])
            .await
            .unwrap();
        let sign_in = async |email, password| metadata.authenticate(email, password).await.unwrap();
        let signed_in = sign_in("uptrace@LOCALHOST", "uptrace").await.unwrap();
        assert_eq!(signed_in.email, "uptrace@localhost");
        assert_eq!(signed_in.sees, Sees::All);
        assert_eq!(sign_in("uptrace@localhost", "Uptrace").await, None);
        assert_eq!(sign_in("nobody@localhost", "uptrace").await, None);
        metadata.disable_user(&signed_in.id).await.unwrap();
        assert_eq!(sign_in("uptrace@localhost", "uptrace").await, None);
    }

    pub(super) async fn a_changed_password_in_the_configuration_ends_the_sessions(
        metadata: Metadata,
        _hand: Arc<Hand>,
    ) {
        metadata
            .upsert_users(&[user("ada@example.com", "first")])
            .await
            .unwrap();
        let ada = metadata
            .authenticate("ada@example.com", "first")
            .await
            .unwrap()
            .unwrap();
        let session = metadata.open_session(&ada).await.unwrap();
        metadata
            .upsert_users(&[user("ada@example.com", "first")])
            .await
            .unwrap();
        assert_eq!(metadata.session(&session).await.unwrap(), Some(ada.clone()));
        metadata
            .upsert_users(&[user("ada@example.com", "second")])
            .await
            .unwrap();
        assert_eq!(metadata.session(&session).await.unwrap(), None);
        assert_eq!(
            metadata
                .authenticate("ada@example.com", "first")
                .await
                .unwrap(),
            None
        );
        assert_eq!(
            metadata
                .authenticate("ada@example.com", "second")
                .await
                .unwrap(),
            Some(ada)
        );
    }

    pub(super) async fn a_session_ends_when_idle_and_after_a_week(
        metadata: Metadata,
        hand: Arc<Hand>,
    ) {
        let ada = metadata
            .create_user(newcomer("ada@example.com", Sees::All))
            .await
            .unwrap();
        let idle = metadata.open_session(&ada).await.unwrap();
        hand.advance(IDLE);
        assert_eq!(metadata.session(&idle).await.unwrap(), None);
        let busy = metadata.open_session(&ada).await.unwrap();
        assert_ne!(idle, busy);
        let mut hours = 0;
        while metadata.session(&busy).await.unwrap().is_some() {
            hand.advance(Duration::from_secs(11 * 3600));
            hours += 11;
        }
        assert_eq!(hours, 176, "the first look after seven days");
    }

    pub(super) async fn whatever_makes_a_session_worthless_ends_it(
        metadata: Metadata,
        _hand: Arc<Hand>,
    ) {
        metadata
            .upsert_projects(&[project(1, "one")])
            .await
            .unwrap();
        let ada = metadata
            .create_user(newcomer("ada@example.com", Sees::Granted))
            .await
            .unwrap();
        let open = async || metadata.open_session(&ada).await.unwrap();
        let live = async |session| metadata.session(&session).await.unwrap().is_some();
        let session = open().await;
        assert!(live(session.clone()).await);
        assert!(!live(SessionSecret::new("guessed")).await);
        metadata.close_session(&session).await.unwrap();
        assert!(!live(session).await);
        let session = open().await;
        metadata
            .set_password(&ada.id, "five grey petrels".to_owned())
            .await
            .unwrap();
        assert!(!live(session).await);
        metadata.grant(&ada.id, ProjectId(1)).await.unwrap();
        let session = open().await;
        metadata.withdraw(&ada.id, ProjectId(1)).await.unwrap();
        assert!(!live(session).await);
        let session = open().await;
        metadata.disable_user(&ada.id).await.unwrap();
        assert!(!live(session).await);
    }

    pub(super) async fn a_user_sees_granted_projects_only(metadata: Metadata, _hand: Arc<Hand>) {
        metadata
            .upsert_projects(&[project(1, "one"), project(2, "two")])
            .await
            .unwrap();
        let ada = metadata
            .create_user(newcomer("ada@example.com", Sees::Granted))
            .await
            .unwrap();
        assert_eq!(metadata.projects_of(&ada).await.unwrap(), []);
        metadata.grant(&ada.id, ProjectId(2)).await.unwrap();
        metadata.grant(&ada.id, ProjectId(2)).await.unwrap();
        let seen = metadata.projects_of(&ada).await.unwrap();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].name, "Project 2");
        assert_eq!(seen[0].pinned_attrs, ["service.name"]);
        assert_eq!(metadata.project_of(&ada, ProjectId(1)).await.unwrap(), None);
        let all = metadata
            .create_user(newcomer("eve@example.com", Sees::All))
            .await
            .unwrap();
        assert_eq!(metadata.projects_of(&all).await.unwrap().len(), 2);
        assert!(
            metadata
                .create_user(newcomer("ADA@example.com", Sees::All))
                .await
                .is_err()
        );
    }

    pub(super) async fn the_setup_token_works_once_and_only_while_there_is_nobody(
        metadata: Metadata,
        hand: Arc<Hand>,
    ) {
        let claim = async |token: &str, email| {
            metadata
                .claim_setup(token, newcomer(email, Sees::All))
                .await
                .unwrap()
        };
        let stale = metadata.setup_token().await.unwrap().unwrap();
        let old = metadata.setup_token().await.unwrap().unwrap();
        assert_eq!(claim(&stale, "ada@example.com").await, Claim::WrongToken);
        hand.advance(Duration::from_secs(24 * 3600));
        assert_eq!(claim(&old, "ada@example.com").await, Claim::WrongToken);
        let token = metadata.setup_token().await.unwrap().unwrap();
        assert_eq!(claim("", "ada@example.com").await, Claim::WrongToken);
        assert!(matches!(
            claim(&token, "ada@example.com").await,
            Claim::Created(_)
        ));
        assert_eq!(claim(&token, "eve@example.com").await, Claim::NotNeeded);
        assert_eq!(metadata.setup_token().await.unwrap(), None);
    }

    pub(super) async fn projects_are_numbered_from_the_last_one(
        metadata: Metadata,
        _hand: Arc<Hand>,
    ) {
        let create = async |id: Option<u32>, name| {
            let made = metadata.create_project(id.map(ProjectId), name).await;
            made.unwrap().map(|id| id.0)
        };
        assert_eq!(create(None, "Shop").await, Some(1));
        assert_eq!(create(Some(7), "Mill").await, Some(7));
        assert_eq!(create(Some(7), "Other").await, None, "it is taken");
        assert_eq!(create(None, "Till").await, Some(8));
        let names: Vec<_> = metadata.projects().await.unwrap();
        let names: Vec<_> = names.iter().map(|p| (p.id.0, p.name.as_str())).collect();
        assert_eq!(names, [(1, "Shop"), (7, "Mill"), (8, "Till")]);
    }

    pub(super) async fn tokens_are_listed_without_being_told(metadata: Metadata, hand: Arc<Hand>) {
        metadata
            .upsert_projects(&[project(1, "one"), project(2, "two")])
            .await
            .unwrap();
        hand.advance(Duration::from_secs(1));
        let laptop = metadata.create_token(ProjectId(1), "laptop").await.unwrap();
        hand.advance(Duration::from_secs(1));
        metadata
            .revoke_token(ProjectId(1), &TokenHash::of(&laptop))
            .await
            .unwrap();
        let [config, user] = &metadata.tokens(ProjectId(1)).await.unwrap()[..] else {
            panic!("two tokens")
        };
        assert_eq!(
            (config.origin, config.label.as_str()),
            (TokenOrigin::Config, "configuration")
        );
        assert_eq!(config.revoked, None);
        assert_eq!(
            (user.origin, user.label.as_str()),
            (TokenOrigin::User, "laptop")
        );
        assert_eq!(user.hash, TokenHash::of(&laptop));
        assert!(user.created > config.created && user.revoked > Some(user.created));
        assert!(!format!("{user:?}").contains(laptop.expose()));
        assert_eq!(user.hash.short().len(), 12);
    }

    pub(super) async fn a_removed_user_is_gone_with_everything(
        metadata: Metadata,
        _hand: Arc<Hand>,
    ) {
        metadata
            .upsert_projects(&[project(1, "one")])
            .await
            .unwrap();
        let ada = metadata
            .create_user(newcomer("ada@example.com", Sees::Granted))
            .await
            .unwrap();
        metadata.grant(&ada.id, ProjectId(1)).await.unwrap();
        let session = metadata.open_session(&ada).await.unwrap();
        let found = metadata.user_by_email("ADA@example.com").await.unwrap();
        assert_eq!(found.as_ref(), Some(&ada));
        assert_eq!(metadata.users().await.unwrap(), [(ada.clone(), true)]);
        metadata.disable_user(&ada.id).await.unwrap();
        assert_eq!(metadata.users().await.unwrap(), [(ada.clone(), false)]);
        metadata.remove_user(&ada.id).await.unwrap();
        assert_eq!(metadata.users().await.unwrap(), []);
        assert_eq!(
            metadata.user_by_email("ada@example.com").await.unwrap(),
            None
        );
        assert_eq!(metadata.session(&session).await.unwrap(), None);
        let again = metadata
            .create_user(newcomer("ada@example.com", Sees::Granted))
            .await
            .unwrap();
        assert_eq!(metadata.projects_of(&again).await.unwrap(), []);
    }

    pub(super) async fn an_import_goes_on_where_it_stood(metadata: Metadata, hand: Arc<Hand>) {
        let begun = metadata.import("log").await.unwrap();
        assert_eq!(
            (begun.epoch, begun.seq, begun.position),
            (1_800_000_000, 1, 0)
        );
        let pending = Import {
            pending: Some(7),
            ..begun.clone()
        };
        let go_on = async |stood: &Import, stands: &Import| {
            let went = metadata.go_on_with_import("log", stood, stands);
            went.await.unwrap()
        };
        assert!(go_on(&begun, &pending).await);
        // Another one, who also stood at the begin, has seen more of the log.
        let further = Import {
            pending: Some(9),
            ..begun.clone()
        };
        assert!(!go_on(&begun, &further).await);
        hand.advance(Duration::from_secs(60));
        assert_eq!(metadata.import("log").await.unwrap(), pending);
        let taken = Import {
            seq: 2,
            position: 7,
            ..begun.clone()
        };
        assert!(go_on(&pending, &taken).await);
        assert!(!go_on(&pending, &taken).await, "once");
        assert_eq!(metadata.import("log").await.unwrap(), taken);
        assert_eq!(metadata.import("other").await.unwrap().position, 0);
    }

    pub(super) async fn limits_are_changed_together_and_given_back_to_the_configuration(
        metadata: Metadata,
        _hand: Arc<Hand>,
    ) {
        use LimitKind::{BytesPerSecond, ItemsPerSecond, SeriesPerHour};
        assert!(metadata.limits().await.unwrap().is_empty());
        let shop = metadata
            .create_project(None, "shop")
            .await
            .unwrap()
            .unwrap();
        let most = |most| LimitChange::Most(most);
        let first = [(BytesPerSecond, most(u64::MAX)), (ItemsPerSecond, most(7))];
        metadata
            .set_limits(shop, &operator(), &first)
            .await
            .unwrap();
        let then = [
            (BytesPerSecond, LimitChange::Default),
            (ItemsPerSecond, most(8)),
            (SeriesPerHour, LimitChange::Unlimited),
        ];
        metadata.set_limits(shop, &operator(), &then).await.unwrap();
        let set = OwnLimits::from([(ItemsPerSecond, Some(8)), (SeriesPerHour, None)]);
        let known = metadata.limits().await.unwrap();
        assert_eq!(known.into_iter().collect::<Vec<_>>(), [(shop, set)]);
        // Nobody can be limited who is not there, and then nothing is changed.
        let nobody = ProjectId(99);
        assert!(
            metadata
                .set_limits(nobody, &operator(), &first)
                .await
                .is_err()
        );
        assert_eq!(metadata.limits().await.unwrap().len(), 1);
    }

    fn view(page: &str, name: &str, pinned: bool) -> ViewDraft {
        ViewDraft {
            page: page.to_owned(),
            name: name.to_owned(),
            query: "where=status%20%3D%20error".to_owned(),
            pinned,
        }
    }

    fn done<T: std::fmt::Debug>(saved: Result<Saved<T>, MetadataError>) -> T {
        match saved.unwrap() {
            Saved::Done(done) => done,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn a_saved_view_is_listed_changed_and_deleted_and_each_time_it_is_known_by_whom(
        metadata: Metadata,
        hand: Arc<Hand>,
    ) {
        let shop = metadata
            .create_project(None, "shop")
            .await
            .unwrap()
            .unwrap();
        let other = metadata
            .create_project(None, "mill")
            .await
            .unwrap()
            .unwrap();
        let ada = newcomer("ada@example.com", Sees::All);
        let ada = metadata.create_user(ada).await.unwrap();
        let ada = Actor::user(&ada);
        let create = async |draft| done(metadata.create_saved_view(shop, &ada, draft).await);
        let slow = create(view("traces", "slow", false)).await;
        hand.advance(Duration::from_secs(1));
        create(view("logs", "errors", true)).await;
        let names = async || {
            let views = metadata.saved_views(shop).await.unwrap();
            views
                .into_iter()
                .map(|view| view.draft.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names().await, ["errors", "slow"]);
        assert!(metadata.saved_views(other).await.unwrap().is_empty());

        hand.advance(Duration::from_secs(1));
        let draft = view("traces", "slower", true);
        let missing = metadata
            .change_saved_view(other, &ada, &slow.id, draft.clone())
            .await;
        assert_eq!(missing.unwrap(), Saved::Missing, "of another project");
        let changed = done(
            metadata
                .change_saved_view(shop, &ada, &slow.id, draft)
                .await,
        );
        assert_eq!(metadata.saved_views(shop).await.unwrap()[1], changed);
        hand.advance(Duration::from_secs(1));
        assert!(
            !metadata
                .delete_saved_view(other, &ada, &slow.id)
                .await
                .unwrap()
        );
        assert!(
            metadata
                .delete_saved_view(shop, &operator(), &slow.id)
                .await
                .unwrap()
        );
        assert!(
            !metadata
                .delete_saved_view(shop, &ada, &slow.id)
                .await
                .unwrap()
        );
        assert_eq!(names().await, ["errors"]);

        let audit = metadata.audit(shop, 100).await.unwrap();
        let told: Vec<String> = audit
            .iter()
            .map(|one| {
                format!(
                    "{} {} {} {}",
                    one.actor, one.action, one.object, one.subject
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "command line of user 1000 deleted saved view slower",
                "ada@example.com changed saved view slower",
                "ada@example.com created saved view errors",
                "ada@example.com created saved view slow",
            ]
        );
        assert_eq!(metadata.audit(shop, 1).await.unwrap(), audit[..1]);
        assert!(metadata.audit(other, 100).await.unwrap().is_empty());
    }

    pub(super) async fn views_are_bounded_and_their_names_unique_on_a_page(
        metadata: Metadata,
        _hand: Arc<Hand>,
    ) {
        let shop = metadata
            .create_project(None, "shop")
            .await
            .unwrap()
            .unwrap();
        let create = async |page, name: &str| {
            let draft = view(page, name, false);
            let made = metadata.create_saved_view(shop, &operator(), draft).await;
            made.unwrap()
        };
        let first = done(Ok(create("traces", "one").await));
        assert_eq!(create("traces", "one").await, Saved::NameTaken);
        done(Ok(create("logs", "one").await));
        let draft = view("logs", "one", false);
        let changed = metadata
            .change_saved_view(shop, &operator(), &first.id, draft)
            .await;
        assert_eq!(changed.unwrap(), Saved::NameTaken);
        // A change that was refused is not told of.
        assert_eq!(metadata.audit(shop, 10).await.unwrap().len(), 2);
        for number in 2..1000 {
            done(Ok(create("metrics", &number.to_string()).await));
        }
        assert_eq!(create("metrics", "one more").await, Saved::TooMany);
    }

    pub(super) async fn documents_are_kept_as_written_and_belong_to_one_project(
        metadata: Metadata,
        hand: Arc<Hand>,
    ) {
        let shop = metadata
            .create_project(None, "shop")
            .await
            .unwrap()
            .unwrap();
        let mill = metadata
            .create_project(None, "mill")
            .await
            .unwrap()
            .unwrap();
        let by = operator();
        let board = |name: &str| {
            let yaml = format!("# ours\nname: {name}\ntable:\n  - metrics: [a]\n");
            Checked::dashboard(&yaml).unwrap()
        };
        let monitors = "monitors: [{ name: Down, type: error }] # both\n";
        let monitors = Checked::monitors(monitors).unwrap();
        let id = done(metadata.create_document(shop, &by, &board("Redis")).await);
        done(metadata.create_document(shop, &by, &monitors).await);
        let again = metadata.create_document(shop, &by, &board("Redis")).await;
        assert_eq!(again.unwrap(), Saved::NameTaken);
        done(metadata.create_document(mill, &by, &board("Redis")).await);
        let there = metadata
            .documents(shop, DocumentKind::Monitors)
            .await
            .unwrap();
        assert_eq!(
            (there[0].name.as_str(), there[0].yaml.as_str()),
            ("Down", monitors.yaml())
        );

        hand.advance(Duration::from_secs(5));
        let kind = metadata.change_document(shop, &by, &id, &monitors).await;
        assert_eq!(kind.unwrap(), Saved::Missing, "a dashboard stays one");
        let foreign = metadata
            .change_document(mill, &by, &id, &board("Host"))
            .await;
        assert_eq!(foreign.unwrap(), Saved::Missing);
        done(
            metadata
                .change_document(shop, &by, &id, &board("Host"))
                .await,
        );
        let there = metadata
            .documents(shop, DocumentKind::Dashboard)
            .await
            .unwrap();
        assert_eq!(
            (there.len(), there[0].yaml.as_str()),
            (1, board("Host").yaml())
        );
        assert!(there[0].changed_at > there[0].created_at);
        hand.advance(Duration::from_secs(5));

        let delete = async |kind| {
            metadata
                .delete_document(shop, &by, kind, &id)
                .await
                .unwrap()
        };
        assert!(!delete(DocumentKind::Monitors).await);
        assert!(delete(DocumentKind::Dashboard).await);
        assert!(!delete(DocumentKind::Dashboard).await);
        let audit = metadata.audit(shop, 10).await.unwrap();
        assert_eq!(audit.len(), 4);
        assert_eq!(
            (audit[0].action.as_str(), audit[0].subject.as_str()),
            ("deleted", "Host")
        );
    }

    pub(super) async fn no_secret_can_be_read_back(metadata: Metadata, _hand: Arc<Hand>) {
        metadata
            .upsert_projects(&[project(1, "canary-token")])
            .await
            .unwrap();
        let setup = metadata.setup_token().await.unwrap().unwrap();
        metadata
            .upsert_users(&[user("ada@example.com", "canary-password")])
            .await
            .unwrap();
        let ada = metadata
            .authenticate("ada@example.com", "canary-password")
            .await
            .unwrap();
        let session = metadata.open_session(&ada.unwrap()).await.unwrap();
        let mut dump = String::new();
        for (table, column) in [
            ("tokens", "hash"),
            ("users", "password"),
            ("sessions", "hash"),
            ("setup", "hash"),
        ] {
            let sql = format!("SELECT {column} FROM {table}");
            let rows: Vec<(String,)> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
                .fetch_all(&metadata.pool)
                .await
                .unwrap();
            assert!(!rows.is_empty(), "{table}");
            dump.extend(rows.into_iter().map(|(value,)| value + "\n"));
        }
        for secret in ["canary-token", "canary-password", session.expose(), &setup] {
            assert!(!dump.contains(secret), "{dump}");
        }
        assert!(!format!("{session:?} {metadata:?}").contains(session.expose()));
    }

    const HERE: AgentId = AgentId(0xA);
    const THERE: AgentId = AgentId(0xB);
    const PROJECT: ProjectId = ProjectId(1);

    fn batch(seq: u64) -> BatchId {
        BatchId {
            agent: AgentId(7),
            epoch: 2,
            seq,
            hash: u128::from(seq) << 100,
        }
    }

    pub(super) async fn a_batch_is_taken_by_one_aggregator_and_known_to_all(
        metadata: Metadata,
        _hand: Arc<Hand>,
    ) {
        let claim = async |owner| metadata.claim(PROJECT, &batch(1), owner).await.unwrap();
        assert_eq!(claim(HERE).await, Delivered::Mine);
        // A second try of the same aggregator is its own business.
        assert_eq!(claim(HERE).await, Delivered::Mine);
        assert_eq!(claim(THERE).await, Delivered::Elsewhere);
        metadata.confirm(PROJECT, &batch(1)).await.unwrap();
        assert_eq!(claim(THERE).await, Delivered::Taken);
        assert_eq!(claim(HERE).await, Delivered::Taken);

        let other_bytes = BatchId {
            hash: 1,
            ..batch(1)
        };
        let copy = metadata.claim(PROJECT, &other_bytes, THERE).await.unwrap();
        assert_eq!(copy, Delivered::Conflict);
        // One project cannot burn another's numbers.
        let other = metadata.claim(ProjectId(2), &batch(1), THERE).await;
        assert_eq!(other.unwrap(), Delivered::Mine);
    }

    pub(super) async fn what_an_owner_gives_up_anybody_may_take(
        metadata: Metadata,
        hand: Arc<Hand>,
    ) {
        let age = Duration::from_secs(5);
        let claim = async |owner| metadata.claim(PROJECT, &batch(1), owner).await.unwrap();
        let open = async |owner| metadata.open_claims(owner, age).await.unwrap();
        assert_eq!(claim(HERE).await, Delivered::Mine);
        assert_eq!(open(HERE).await, [], "it may still be under way");
        hand.advance(age);
        assert_eq!(open(HERE).await, [(PROJECT, batch(1))]);
        assert_eq!(open(THERE).await, [], "not theirs to judge");

        metadata.release(PROJECT, &batch(1), THERE).await.unwrap();
        assert_eq!(claim(THERE).await, Delivered::Elsewhere, "nor to give up");
        metadata.release(PROJECT, &batch(1), HERE).await.unwrap();
        assert_eq!(claim(THERE).await, Delivered::Mine);

        metadata.confirm(PROJECT, &batch(1)).await.unwrap();
        metadata.release(PROJECT, &batch(1), THERE).await.unwrap();
        assert_eq!(claim(HERE).await, Delivered::Taken, "taken is for ever");
    }

    pub(super) async fn what_was_delivered_is_summed_up_and_never_forgotten(
        metadata: Metadata,
        hand: Arc<Hand>,
    ) {
        let rows = async || {
            let count: (i64,) = sqlx::query_as("SELECT count(*) FROM deliveries")
                .fetch_one(&metadata.pool)
                .await
                .unwrap();
            let ranges: Vec<(i64, i64)> =
                sqlx::query_as("SELECT first, last FROM delivered ORDER BY first")
                    .fetch_all(&metadata.pool)
                    .await
                    .unwrap();
            (count.0, ranges)
        };
        let take = async |seq| {
            let claimed = metadata.claim(PROJECT, &batch(seq), HERE).await.unwrap();
            assert_eq!(claimed, Delivered::Mine, "{seq}");
            metadata.confirm(PROJECT, &batch(seq)).await.unwrap();
        };
        for seq in [1, 2, 3, 9] {
            take(seq).await;
        }
        let open = metadata.claim(PROJECT, &batch(5), HERE).await.unwrap();
        assert_eq!(open, Delivered::Mine);
        assert!(metadata.sum_up_deliveries().await.unwrap());
        assert_eq!(rows().await, (5, vec![]), "all of it is recent");

        hand.advance(Duration::from_secs(3600));
        take(4).await;
        assert!(metadata.sum_up_deliveries().await.unwrap());
        // A row is there for a round longer than it need be, so that no claim falls in between.
        assert_eq!(rows().await, (6, vec![(1, 3), (9, 9)]));
        let again = metadata.sum_up_deliveries().await.unwrap();
        assert!(!again, "it is nobody's turn yet");

        hand.advance(Duration::from_secs(3600));
        assert!(metadata.sum_up_deliveries().await.unwrap());
        hand.advance(Duration::from_secs(3600));
        assert!(metadata.sum_up_deliveries().await.unwrap());
        assert_eq!(
            rows().await,
            (1, vec![(1, 4), (9, 9)]),
            "only the open claim"
        );
        for seq in [1, 4, 9] {
            let known = metadata.claim(PROJECT, &batch(seq), THERE).await.unwrap();
            assert_eq!(known, Delivered::Taken, "{seq}");
        }
        let open = metadata.claim(PROJECT, &batch(5), THERE).await.unwrap();
        assert_eq!(open, Delivered::Elsewhere);
        let never = metadata.claim(PROJECT, &batch(6), THERE).await.unwrap();
        assert_eq!(never, Delivered::Mine);
    }

    pub(super) async fn two_claimants_at_once_get_one_batch_between_them(
        metadata: Metadata,
        _hand: Arc<Hand>,
    ) {
        for seq in 1..=50 {
            let batch = batch(seq);
            let (here, there) = tokio::join!(
                metadata.claim(PROJECT, &batch, HERE),
                metadata.claim(PROJECT, &batch, THERE)
            );
            let mut both = [here.unwrap(), there.unwrap()];
            both.sort_by_key(|one| *one != Delivered::Mine);
            assert_eq!(both, [Delivered::Mine, Delivered::Elsewhere]);
        }
    }
}
