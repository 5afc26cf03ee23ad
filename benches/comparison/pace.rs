//! `pace PORT PATH HOST CONNECTIONS RATE SECONDS`: sends requests at a fixed rate and prints their times as
//! JSON. Before that it prints the line `begun` when the first request is due.
//!
//! Each connection has a thread and a timetable. If a late response delays the next request, the time of that
//! request counts from when it was due. Otherwise one long delay would hide all those behind it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// The longest wait for a response before it counts as failed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The slowest response is reported for each slice of this length. So the effect of a disturbance shows
/// beside the time before and after it.
const SLICE: Duration = Duration::from_millis(10);

/// The request and its destination.
#[derive(Clone)]
struct Question {
    port: u16,
    request: Vec<u8>,
}

/// The times at which one thread sends requests.
struct Timetable {
    /// Equal for all threads.
    start: Instant,
    first: Instant,
    every: Duration,
    end: Instant,
}

/// The measurements of one thread, or of all threads.
#[derive(Default)]
struct Tally {
    /// The time of every request with a response.
    times: Vec<Duration>,
    /// The slowest response to a request that was due in each [`SLICE`] since the start.
    slices: Vec<Duration>,
    /// Requests without a response, or with one that is not 200.
    failed: usize,
    /// Connections that were closed while idle and opened again.
    reopened: usize,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [port, path, host, connections, rate, seconds] = &words[..] else {
        return usage();
    };
    let (Ok(port), Ok(connections), Ok(rate), Ok(seconds)) =
        (port.parse::<u16>(), connections.parse::<u32>(), rate.parse::<u32>(), seconds.parse::<f64>())
    else {
        return usage();
    };
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes();
    let question = Question { port, request };
    let start = Instant::now() + Duration::from_millis(100);
    let threads: Vec<_> = (0..connections)
        .map(|number| {
            let question = question.clone();
            let timetable = Timetable {
                start,
                first: start + Duration::from_secs(1) * number / rate,
                every: Duration::from_secs(1) * connections / rate,
                end: start + Duration::from_secs_f64(seconds),
            };
            thread::spawn(move || ask(&question, &timetable))
        })
        .collect();
    thread::sleep(start.saturating_duration_since(Instant::now()));
    say("begun");
    let mut all = Tally::default();
    for thread in threads {
        let tally = thread.join().expect("a thread that does not panic");
        all.times.extend(&tally.times);
        all.add_slices(&tally.slices);
        all.failed += tally.failed;
        all.reopened += tally.reopened;
    }
    all.times.sort_unstable();
    say(&all.json());
}

fn say(line: &str) {
    let told = writeln!(io::stdout(), "{line}");
    told.expect("a reader of standard output");
}

fn usage() {
    eprintln!("usage: pace PORT PATH HOST CONNECTIONS RATE SECONDS");
    std::process::exit(2);
}

impl Tally {
    /// Adds the response to a request that was due `after` the start.
    fn add(&mut self, after: Duration, time: Duration) {
        self.times.push(time);
        let slice = (after.as_nanos() / SLICE.as_nanos()) as usize;
        if self.slices.len() <= slice {
            self.slices.resize(slice + 1, Duration::ZERO);
        }
        self.slices[slice] = self.slices[slice].max(time);
    }

    fn add_slices(&mut self, others: &[Duration]) {
        let length = self.slices.len().max(others.len());
        self.slices.resize(length, Duration::ZERO);
        for (mine, other) in self.slices.iter_mut().zip(others) {
            *mine = (*mine).max(*other);
        }
    }

    /// Times must be sorted.
    fn json(&self) -> String {
        let at = |share: f64| {
            let last = self.times.len().saturating_sub(1);
            let time = self.times.get((last as f64 * share).round() as usize);
            time.map_or(0.0, |time| time.as_secs_f64() * 1e6)
        };
        let slices: Vec<String> = self.slices.iter().map(|time| time.as_micros().to_string()).collect();
        format!(
            "{{\"requests\": {}, \"failed\": {}, \"reopened\": {}, \"p50\": {:.1}, \"p99\": {:.1}, \
             \"p999\": {:.1}, \"slice\": {}, \"slices\": [{}]}}",
            self.times.len(),
            self.failed,
            self.reopened,
            at(0.5),
            at(0.99),
            at(0.999),
            SLICE.as_secs_f64(),
            slices.join(", ")
        )
    }
}

/// Sends requests by the timetable.
fn ask(question: &Question, timetable: &Timetable) -> Tally {
    let mut tally = Tally::default();
    let mut connection = None;
    for number in 0.. {
        let due = timetable.first + timetable.every * number;
        if due >= timetable.end {
            break;
        }
        let begin = match due.checked_duration_since(Instant::now()) {
            Some(wait) => {
                thread::sleep(wait);
                // Sleep may take a little too long; that is not the proxy's time.
                Instant::now()
            }
            None => due,
        };
        match exchange(&mut connection, question, &mut tally.reopened) {
            Ok(()) => tally.add(due.duration_since(timetable.start), begin.elapsed()),
            Err(error) => {
                eprintln!("{error}");
                connection = None;
                tally.failed += 1;
            }
        }
    }
    tally
}

/// One exchange. If a kept connection is closed, it opens another one, as any client does.
fn exchange(
    connection: &mut Option<BufReader<TcpStream>>,
    question: &Question,
    reopened: &mut usize,
) -> io::Result<()> {
    if let Some(kept) = connection {
        match send_and_receive(kept, question) {
            Err(Broken { untouched: true, .. }) => *reopened += 1,
            other => return other.map_err(|broken| broken.error),
        }
    }
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, question.port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    send_and_receive(connection.insert(BufReader::new(stream)), question).map_err(|broken| broken.error)
}

/// The failure to get a response.
struct Broken {
    /// Whether no byte of a response was received.
    untouched: bool,
    error: io::Error,
}

fn send_and_receive(connection: &mut BufReader<TcpStream>, question: &Question) -> Result<(), Broken> {
    let mut status = String::new();
    let sent = connection.get_mut().write_all(&question.request);
    let first = sent.and_then(|()| connection.read_line(&mut status)).and_then(|read| match read {
        0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed")),
        _ => Ok(()),
    });
    first.map_err(|error| {
        // `WouldBlock` means a timeout.
        let untouched = status.is_empty() && error.kind() != io::ErrorKind::WouldBlock;
        Broken { untouched, error }
    })?;
    receive_rest(connection, &status).map_err(|error| Broken { untouched: false, error })
}

/// Reads the fields and a body of known length, after the status line.
fn receive_rest(connection: &mut BufReader<TcpStream>, status: &str) -> io::Result<()> {
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        connection.read_line(&mut line)?;
        let field = line.trim_end().to_ascii_lowercase();
        if field.is_empty() {
            break;
        }
        if let Some(value) = field.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    io::copy(&mut connection.by_ref().take(length), &mut io::sink())?;
    match status.contains(" 200 ") {
        true => Ok(()),
        false => Err(io::Error::other(format!("answered: {}", status.trim_end()))),
    }
}
