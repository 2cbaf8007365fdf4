use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use petrel_receiver::Transport;
use petrel_wire::{Signal, UnixNanos};

use super::*;

#[derive(Clone, Debug, Default)]
struct OneProject {
    asked: Arc<AtomicU32>,
    away: Arc<AtomicBool>,
}

impl Directory for OneProject {
    async fn project_by_token(&self, token: &Token) -> Result<Option<ProjectId>, DirectoryError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.away.load(Ordering::SeqCst) {
            return Err(DirectoryError("away".into()));
        }
        Ok((token.expose() == "good").then_some(ProjectId(7)))
    }
}

#[derive(Debug, Default)]
struct Hands(AtomicU64);

impl Clock for Hands {
    fn wall(&self) -> UnixNanos {
        UnixNanos(0)
    }
    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

fn head(headers: &[(&'static str, &str)], query: Option<&str>) -> Head {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().unwrap());
    }
    Head {
        signal: Signal::Traces,
        transport: Transport::Http,
        headers: map,
        query: query.map(str::to_owned),
        peer: None,
    }
}

fn auth() -> (Auth<OneProject>, OneProject, Arc<Hands>) {
    let (directory, clock) = (OneProject::default(), Arc::new(Hands::default()));
    let auth = Auth::new(directory.clone(), Arc::clone(&clock) as Arc<dyn Clock>);
    (auth, directory, clock)
}

#[tokio::test]
async fn a_dsn_opens_its_project_in_every_spelling() {
    let (auth, ..) = auth();
    let encoded = "http%3A%2F%2Fgood%40localhost%3A14318%3Fgrpc%3D14317";
    for (headers, query) in [
        (vec![("uptrace-dsn", "http://good@localhost:14317/1")], None),
        (
            vec![("uptrace-dsn", "https://good@api.uptrace.dev?grpc=4317")],
            None,
        ),
        (vec![("uptrace-dsn", encoded)], None),
        (
            vec![("uptrace-dns", "http://good@localhost:14318?grpc=14317")],
            None,
        ),
        (vec![("authorization", "Bearer http://good@h:1")], None),
        (vec![("authorization", "bearer good")], None),
        (vec![("authorization", "http://good@h:1")], None),
        (
            vec![("uptrace-dsn", "")],
            Some("dsn=http://good@h:1?grpc=2&x=y"),
        ),
        (vec![], Some("a=b&dsn=http%3A%2F%2Fgood%40h")),
    ] {
        let scope = auth.scope(&head(&headers, query)).await;
        assert_eq!(
            scope.map(Scope::project),
            Ok(ProjectId(7)),
            "{headers:?} {query:?}"
        );
    }
}

#[tokio::test]
async fn who_shows_nothing_or_nonsense_is_told_what_to_send_and_secrets_are_not_repeated() {
    let (auth, ..) = auth();
    for (headers, words) in [
        (vec![], "uptrace-dsn: http://TOKEN@HOST"),
        (
            vec![
                ("uptrace-dsn", "http://canary@h"),
                ("uptrace-dsn", "http://good@h"),
            ],
            "more than one",
        ),
        (vec![("uptrace-dsn", "ftp://canary@h")], "scheme"),
        (
            vec![("uptrace-dsn", "http://canary@h")],
            "no project has the token",
        ),
        // The first place decides: a wrong one is not outvoted by the next.
        (
            vec![("uptrace-dsn", "http://h"), ("authorization", "good")],
            "no token",
        ),
    ] {
        let refused = auth.scope(&head(&headers, None)).await.unwrap_err();
        assert_eq!(refused.http_status(), 401, "{headers:?}");
        assert!(refused.to_string().contains(words), "{refused}");
        assert!(!refused.to_string().contains("canary"), "{refused}");
    }
}

#[tokio::test]
async fn an_answer_is_remembered_for_less_than_a_minute() {
    let (auth, directory, clock) = auth();
    let good = head(&[("uptrace-dsn", "good")], None);
    for _ in 0..3 {
        auth.scope(&good).await.unwrap();
    }
    assert_eq!(directory.asked.load(Ordering::SeqCst), 1);
    clock.0.store(60, Ordering::SeqCst);
    auth.scope(&good).await.unwrap();
    assert_eq!(directory.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn while_the_directory_is_away_the_known_go_on_and_the_others_wait() {
    let (auth, directory, clock) = auth();
    let good = head(&[("uptrace-dsn", "good")], None);
    auth.scope(&good).await.unwrap();
    directory.away.store(true, Ordering::SeqCst);
    clock.0.store(1800, Ordering::SeqCst);
    auth.scope(&good).await.unwrap();
    let other = auth.scope(&head(&[("uptrace-dsn", "other")], None)).await;
    assert_eq!(other.unwrap_err().http_status(), 503);
    clock.0.store(3 * 3600, Ordering::SeqCst);
    assert_eq!(auth.scope(&good).await.unwrap_err().http_status(), 503);
}

#[tokio::test]
async fn guessing_tokens_does_not_fill_memory() {
    let (auth, ..) = auth();
    for guess in 0..3 * MOST_UNKNOWN {
        let guess = guess.to_string();
        drop(
            auth.scope(&head(&[("uptrace-dsn", guess.as_str())], None))
                .await,
        );
    }
    auth.scope(&head(&[("uptrace-dsn", "good")], None))
        .await
        .unwrap();
    assert!(auth.known().len() <= MOST_UNKNOWN + 1);
}
