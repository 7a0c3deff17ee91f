//! A proxy between routers and broker, which delays or withholds answers of chosen kinds.
//!
//! It reads no more of the protocol than the head of each message: the length, the kind of a request, and the
//! correlation id that an answer has in common with its request. An answer that is withheld is one whose connection
//! is closed instead: the request was carried out, and the client never learns it.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fastrand::Rng;

use super::run::let_pass;

/// Bytes of a message: its correlation id at least, and no more than a broker would send or take.
const MESSAGE_BYTES: RangeInclusive<usize> = 4..=100 * 1024 * 1024;

/// A kind of request, by its key in the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Request {
    Produce = 0,
    InitProducerId = 22,
    AddPartitionsToTxn = 24,
    AddOffsetsToTxn = 25,
    EndTxn = 26,
    TxnOffsetCommit = 28,
}

impl Request {
    const ALL: [Request; 6] = [
        Request::Produce,
        Request::InitProducerId,
        Request::AddPartitionsToTxn,
        Request::AddOffsetsToTxn,
        Request::EndTxn,
        Request::TxnOffsetCommit,
    ];

    fn of(key: i16) -> Option<Request> {
        Request::ALL.into_iter().find(|request| *request as i16 == key)
    }
}

/// What is done to answers.
#[derive(Clone, Debug)]
pub struct Disturbance {
    /// To those of these requests.
    pub requests: Vec<Request>,
    /// So many of a hundred are withheld.
    pub withheld: u32,
    /// So many of a hundred are delayed.
    pub delayed: u32,
    /// By up to this long.
    pub delay_max: Duration,
}

/// What was done to answers: how many were withheld and delayed, by the kind of request.
pub type Done = BTreeMap<(&'static str, Request), usize>;

struct State {
    rng: Rng,
    disturbance: Option<Disturbance>,
    done: Done,
}

/// The proxy; it serves as long as the program runs.
pub struct Proxy {
    listener: TcpListener,
    state: Arc<Mutex<State>>,
}

enum Verdict {
    Pass,
    Delay(Duration),
    Withhold,
}

impl Proxy {
    /// Takes a port.
    pub fn listen() -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let state = State { rng: Rng::with_seed(0), disturbance: None, done: Done::new() };
        Proxy { listener, state: Arc::new(Mutex::new(state)) }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// Passes connections on to this address.
    pub fn serve(&self, broker: String) {
        let (listener, state) = (self.listener.try_clone().unwrap(), Arc::clone(&self.state));
        thread::spawn(move || {
            for client in listener.incoming() {
                // Where the broker does not listen, or the client has gone, the connection is closed.
                let _ = client.and_then(|client| pass_on(client, TcpStream::connect(&broker)?, &state));
            }
        });
    }

    /// From now on answers are disturbed, as this seed says.
    pub fn disturb(&self, disturbance: Disturbance, seed: u64) {
        *self.state.lock().unwrap() =
            State { rng: Rng::with_seed(seed), disturbance: Some(disturbance), done: Done::new() };
    }

    /// From now on everything is passed on; tells what was not.
    pub fn calm(&self) -> Done {
        let mut state = self.state.lock().unwrap();
        state.disturbance = None;
        std::mem::take(&mut state.done)
    }

    /// What was done so far.
    pub fn done(&self) -> Done {
        self.state.lock().unwrap().done.clone()
    }
}

/// A thread for each direction.
fn pass_on(client: TcpStream, server: TcpStream, state: &Arc<Mutex<State>>) -> io::Result<()> {
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let asked: Arc<Mutex<HashMap<i32, Request>>> = Arc::default();
    let requests = (client.try_clone()?, server.try_clone()?, Arc::clone(&asked));
    thread::spawn(move || {
        let (from, to, asked) = requests;
        relay(&from, &to, |message| {
            // The key of the request, its version, its correlation id.
            if let [key @ .., _, _] = message.get(..4).unwrap_or_default()
                && let Some(request) = key.try_into().ok().and_then(|key| Request::of(i16::from_be_bytes(key)))
                && let Some(id) = message.get(4..8)
            {
                asked.lock().unwrap().insert(number(id), request);
            }
            true
        });
    });
    let state = Arc::clone(state);
    thread::spawn(move || {
        relay(&server, &client, |message| {
            let Some(request) = asked.lock().unwrap().remove(&number(message)) else { return true };
            let verdict = state.lock().unwrap().judge(request);
            match verdict {
                Verdict::Pass => true,
                Verdict::Delay(time) => {
                    let_pass(time);
                    true
                }
                Verdict::Withhold => false,
            }
        });
    });
    Ok(())
}

impl State {
    fn judge(&mut self, request: Request) -> Verdict {
        let Some(disturbance) = self.disturbance.as_ref().filter(|wanted| wanted.requests.contains(&request)) else {
            return Verdict::Pass;
        };
        let draw = self.rng.u32(..100);
        if draw < disturbance.withheld {
            *self.done.entry(("withheld", request)).or_default() += 1;
            return Verdict::Withhold;
        }
        if draw < disturbance.withheld + disturbance.delayed {
            *self.done.entry(("delayed", request)).or_default() += 1;
            let most = u64::try_from(disturbance.delay_max.as_millis()).unwrap();
            return Verdict::Delay(Duration::from_millis(self.rng.u64(..=most)));
        }
        Verdict::Pass
    }
}

/// Passes messages on until one side ends, or `passes` says no; then both are closed.
fn relay(mut from: &TcpStream, mut to: &TcpStream, passes: impl Fn(&[u8]) -> bool) {
    let mut relay_one = || -> io::Result<bool> {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let size = usize::try_from(number(&length)).ok().filter(|size| MESSAGE_BYTES.contains(size));
        let mut message = vec![0; size.ok_or(io::ErrorKind::InvalidData)?];
        from.read_exact(&mut message)?;
        if !passes(&message) {
            return Ok(false);
        }
        to.write_all(&[&length[..], &message].concat())?;
        Ok(true)
    };
    while relay_one().unwrap_or(false) {}
    for stream in [from, to] {
        // Fails where the other thread has closed it.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn number(bytes: &[u8]) -> i32 {
    i32::from_be_bytes(bytes[..4].try_into().unwrap())
}
