//! A TCP relay that can be cut, and remembers every byte that went upstream.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Debug, Default)]
struct Shared {
    cut: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
    captured: Mutex<Vec<u8>>,
}

/// Listens on a loopback port and relays to `upstream`.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Starts relaying.
    ///
    /// # Panics
    /// If the machine has no free port.
    pub fn to(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let shared = Arc::new(Shared::default());
        let ours = Arc::clone(&shared);
        std::thread::spawn(move || {
            for down in listener.incoming().flatten() {
                if ours.cut.load(Ordering::SeqCst) {
                    drop(down.shutdown(Shutdown::Both));
                    continue;
                }
                relay(&ours, down, upstream);
            }
        });
        Self { address, shared }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Breaks every connection in the middle of whatever it carries; new ones fail until `mend`.
    ///
    /// # Panics
    /// If a relay thread has panicked.
    pub fn cut(&self) {
        self.shared.cut.store(true, Ordering::SeqCst);
        for stream in self
            .shared
            .open
            .lock()
            .expect("relays do not panic")
            .drain(..)
        {
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.shared.cut.store(false, Ordering::SeqCst);
    }

    /// Everything that was sent upstream so far.
    ///
    /// # Panics
    /// If a relay thread has panicked.
    pub fn captured(&self) -> Vec<u8> {
        self.shared
            .captured
            .lock()
            .expect("relays do not panic")
            .clone()
    }
}

fn relay(shared: &Arc<Shared>, down: TcpStream, upstream: u16) {
    let up = TcpStream::connect_timeout(
        &SocketAddr::from(([127, 0, 0, 1], upstream)),
        Duration::from_secs(1),
    );
    let Ok(up) = up else {
        drop(down.shutdown(Shutdown::Both));
        return;
    };
    let copy = |stream: &TcpStream| stream.try_clone().expect("a socket can be cloned");
    {
        let mut open = shared.open.lock().expect("relays do not panic");
        open.push(copy(&down));
        open.push(copy(&up));
    }
    let (down_in, up_out) = (copy(&down), copy(&up));
    let capture = Arc::clone(shared);
    std::thread::spawn(move || {
        pump(down_in, up_out, |bytes| {
            capture
                .captured
                .lock()
                .expect("relays do not panic")
                .extend_from_slice(bytes);
        });
    });
    std::thread::spawn(move || pump(up, down, |_| {}));
}

fn pump(mut from: TcpStream, mut to: TcpStream, mut seen: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        seen(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Write));
    drop(from.shutdown(Shutdown::Read));
}
