//! A TCP relay, or load balancer, with weather: it can be cut, swallow everything, lose answers, crawl, or pretend to
//! be a hotel's login page. On request it remembers every byte that went upstream.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use tokio::net::TcpSocket;

/// What happens on the link now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weather {
    /// Bytes pass.
    #[default]
    Clear,
    /// Connections break in the middle of whatever they carry; new ones do not come about.
    Cut,
    /// Connections stay and are accepted, nothing passes: a peer that has gone without a word.
    Hole,
    /// Requests arrive, and the connection breaks as soon as the first byte of an answer comes.
    LostAnswers,
    /// A connection breaks after this many bytes upstream.
    BreaksAfter(u64),
    /// So many bytes pass in a second, each way and for each connection.
    Slow(u32),
    /// Whatever is asked, the answer is `200 OK` and a page of HTML.
    Portal,
}

#[derive(Debug, Default)]
struct State {
    weather: Weather,
    next: u64,
    open: BTreeMap<u64, [TcpStream; 2]>,
    captured: Option<Vec<u8>>,
    /// Nobody will ever connect again.
    over: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("relays do not panic")
    }

    /// The weather, once anything passes at all.
    fn wait_for_passage(&self) -> Weather {
        let state = self.state();
        let hole = |state: &mut State| state.weather == Weather::Hole;
        let state = self.changed.wait_while(state, hole);
        state.expect("relays do not panic").weather
    }

    /// Takes the time that `bytes` take, unless the weather changes.
    fn crawl(&self, bytes: usize, bytes_per_second: u32) {
        let share = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
        let pause = Duration::from_secs_f64(share / f64::from(bytes_per_second.max(1)));
        let slow = |state: &mut State| matches!(state.weather, Weather::Slow(_));
        let waited = self.changed.wait_timeout_while(self.state(), pause, slow);
        drop(waited.expect("relays do not panic"));
    }
}

/// Listens on a loopback port and relays to `upstream`.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Bound and never listened on: the port stays ours while nobody listens.
    _port: TcpSocket,
}

impl Proxy {
    /// Starts relaying and remembering.
    ///
    /// # Panics
    /// If the machine has no free port.
    pub fn to(upstream: u16) -> Self {
        let proxy = Self::without_memory(upstream);
        proxy.shared.state().captured = Some(Vec::new());
        proxy
    }

    /// Starts relaying, for runs that send more than fits into memory.
    ///
    /// # Panics
    /// If the machine has no free port.
    pub fn without_memory(upstream: u16) -> Self {
        Self::among(vec![upstream])
    }

    /// Starts relaying as a load balancer does: each connection to the next one that takes it.
    ///
    /// # Panics
    /// If the machine has no free port.
    pub fn among(upstreams: Vec<u16>) -> Self {
        let port = TcpSocket::new_v4().expect("a socket");
        let shareable = port.set_reuseaddr(true);
        shareable.expect("a port that is bound twice, once to listen");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        port.bind(any).expect("a free port");
        let address = port.local_addr().expect("a bound address");
        let shared = Arc::new(Shared::default());
        let ours = Arc::clone(&shared);
        let listener = TcpListener::bind(address).expect("a port of our own");
        std::thread::spawn(move || listen(&ours, listener, address, &upstreams));
        Self {
            address,
            shared,
            _port: port,
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on.
    ///
    /// # Panics
    /// If a relay thread has panicked.
    pub fn set(&self, weather: Weather) {
        let mut state = self.shared.state();
        state.weather = weather;
        if matches!(weather, Weather::Cut | Weather::Portal) {
            for stream in state.open.values().flatten() {
                drop(stream.shutdown(Shutdown::Both));
            }
        }
        drop(state);
        self.shared.changed.notify_all();
        // Whoever waits for connections looks at the weather when there is one.
        drop(TcpStream::connect(self.address));
    }

    /// Breaks every connection; new ones fail until `mend`.
    ///
    /// # Panics
    /// If a relay thread has panicked.
    pub fn cut(&self) {
        self.set(Weather::Cut);
    }

    /// Lets everything through again.
    ///
    /// # Panics
    /// If a relay thread has panicked.
    pub fn mend(&self) {
        self.set(Weather::Clear);
    }

    /// Everything that was sent upstream so far, if this relay remembers.
    ///
    /// # Panics
    /// If a relay thread has panicked.
    pub fn captured(&self) -> Vec<u8> {
        self.shared.state().captured.clone().unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Threads that wait in a hole end with their connections.
        self.shared.state().over = true;
        self.cut();
    }
}

/// Takes connections; on a cut link nobody listens.
fn listen(shared: &Arc<Shared>, first: TcpListener, address: SocketAddr, upstreams: &[u16]) {
    let mut listening = Some(first);
    loop {
        let cut = |state: &mut State| state.weather == Weather::Cut && !state.over;
        if cut(&mut shared.state()) {
            listening = None;
        }
        let state = shared.changed.wait_while(shared.state(), cut);
        if state.expect("relays do not panic").over {
            return;
        }
        let bind = || TcpListener::bind(address).expect("a port of our own");
        let Ok((down, _)) = listening.get_or_insert_with(bind).accept() else {
            continue;
        };
        let weather = shared.state().weather;
        match weather {
            Weather::Cut => drop(down),
            Weather::Portal => drop(std::thread::spawn(move || portal(down))),
            _ => relay(shared, down, upstreams),
        }
    }
}

fn relay(shared: &Arc<Shared>, down: TcpStream, upstreams: &[u16]) {
    let id = {
        let mut state = shared.state();
        state.next += 1;
        state.next
    };
    let connect = |upstream: &u16| {
        let address = SocketAddr::from(([127, 0, 0, 1], *upstream));
        TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()
    };
    let turn = usize::try_from(id).unwrap_or(0) % upstreams.len();
    let (before, after) = upstreams.split_at(turn);
    let Some(up) = after.iter().chain(before).find_map(connect) else {
        drop(down.shutdown(Shutdown::Both));
        return;
    };
    let copy = |stream: &TcpStream| stream.try_clone().expect("a socket can be cloned");
    let (down_in, up_out) = (copy(&down), copy(&up));
    shared.state().open.insert(id, [copy(&down), copy(&up)]);
    let ours = Arc::clone(shared);
    std::thread::spawn(move || pump(&ours, down_in, up_out, Direction::Up));
    let ours = Arc::clone(shared);
    std::thread::spawn(move || {
        pump(&ours, up, down, Direction::Down);
        ours.state().open.remove(&id);
    });
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

fn pump(shared: &Shared, mut from: TcpStream, mut to: TcpStream, direction: Direction) {
    let mut buffer = vec![0; 16 << 10];
    let mut passed = 0;
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        passed += read as u64;
        let breaks = match shared.wait_for_passage() {
            Weather::Cut | Weather::Portal => true,
            Weather::LostAnswers => direction == Direction::Down,
            Weather::BreaksAfter(bytes) => direction == Direction::Up && passed > bytes,
            Weather::Slow(bytes_per_second) => {
                shared.crawl(read, bytes_per_second);
                false
            }
            Weather::Clear | Weather::Hole => false,
        };
        if breaks {
            drop(to.shutdown(Shutdown::Both));
            drop(from.shutdown(Shutdown::Both));
            return;
        }
        if direction == Direction::Up
            && let Some(captured) = &mut shared.state().captured
        {
            captured.extend_from_slice(&buffer[..read]);
        }
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Write));
    drop(from.shutdown(Shutdown::Read));
}

/// A network that wants to be paid first.
fn portal(mut down: TcpStream) {
    let page = "<html><body>Please sign in to use this network.</body></html>";
    let mut buffer = vec![0; 16 << 10];
    // Whatever came first is answered; the rest may come or not.
    if matches!(down.read(&mut buffer), Ok(1..)) {
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{page}",
            page.len()
        );
        drop(down.write_all(answer.as_bytes()));
    }
    drop(down.shutdown(Shutdown::Write));
    while matches!(down.read(&mut buffer), Ok(1..)) {}
}
