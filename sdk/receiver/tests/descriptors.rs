//! Running out of file descriptors: alone in its process, because the limit is the process's.

use std::time::Duration;

use petrel_receiver::{
    Arrival, Door, Head, Receipt, ReceiverConfig, Refused, ServeConfig, router, serve,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

#[derive(Clone, Debug)]
struct Closed;

impl Door for Closed {
    type Permit = ();
    async fn admit(&self, _: &Head) -> Result<(), Refused> {
        Err(Refused::busy("closed"))
    }
    async fn accept(&self, (): (), _: &Head, _: Arrival) -> Result<Receipt, Refused> {
        Err(Refused::busy("closed"))
    }
}

#[tokio::test]
async fn a_listener_without_descriptors_comes_back_when_there_are_some() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let router = router(Closed, ReceiverConfig::default());
    let serving = tokio::spawn(serve(
        listener,
        router,
        ServeConfig::default(),
        stop.clone(),
    ));

    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = Some(64);
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    let mut connections = Vec::new();
    while let Ok(connection) = TcpStream::connect(addr).await {
        connections.push(connection);
    }
    assert!(connections.len() > 10, "{}", connections.len());
    drop(connections);

    let answered = async {
        loop {
            if let Ok(mut stream) = TcpStream::connect(addr).await {
                let request = b"GET /v1/traces HTTP/1.1\r\nhost: x\r\n\r\n";
                let mut answer = [0; 12];
                if stream.write_all(request).await.is_ok()
                    && stream.read_exact(&mut answer).await.is_ok()
                {
                    return answer;
                }
            }
            tokio::task::yield_now().await;
        }
    };
    let answer = tokio::time::timeout(Duration::from_secs(20), answered).await;
    assert_eq!(&answer.expect("the listener lives"), b"HTTP/1.1 405");
    assert!(!serving.is_finished());
    stop.cancel();
}
