//! `/tail`: exchanges as they end, a line each, until the reader or the gate leaves.

use std::future::Future;
use std::time::Duration;

use futures_lite::future;
use futures_lite::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use http_types::Request;
use smol::Timer;

use crate::log::access::{TailFilter, TailFormat, TailReader};
use crate::reason::Reason;

/// The head of the response. It ends with the connection, so each line arrives as it is.
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nCache-Control: no-store\r\n\
                      X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n";

/// The time after which an empty line shows a peer that the gate is there, and the gate that the peer is.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// The time in which a reader must take some lines.
const WRITE_TIME_MAX: Duration = Duration::from_secs(60);

/// Reads the parameters. The error says what is wrong with them.
pub(in crate::internal_api) fn filter(request: &Request) -> Result<TailFilter, String> {
    let mut filter = TailFilter::default();
    let (mut is_human, mut colours) = (false, false);
    for (name, value) in request.url().query_pairs() {
        let wrong = |is: &str| format!("{name}={value} is not right: {is}");
        match &*name {
            "rule" => filter.rule = Some(value.into_owned()),
            "host" => filter.host = Some(value.to_ascii_lowercase()),
            "status" => {
                let status = TailFilter::parse_status(&value);
                filter.status = Some(status.ok_or_else(|| wrong("write a status, 404, or a class, 5xx"))?);
            }
            "slow_ms" => {
                let millis = value.parse().map_err(|_| wrong("write a number of milliseconds"))?;
                filter.slow = Some(Duration::from_millis(millis));
            }
            "reason" => {
                let reason = Reason::ALL.iter().find(|reason| reason.code() == value);
                let unknown = || wrong("there is no such reason; docs/http.md lists all of them");
                filter.reason = Some(*reason.ok_or_else(unknown)?);
            }
            "format" if matches!(&*value, "json" | "human") => is_human = value == "human",
            "format" => return Err(wrong("write json or human")),
            "colours" => colours = value == "true",
            _ => {
                return Err(format!(
                    "there is no parameter {name}; there are rule, host, status, slow_ms, reason, format and colours"
                ));
            }
        }
    }
    filter.format = if is_human { TailFormat::Human { colours } } else { TailFormat::Json };
    Ok(filter)
}

/// Sends lines until the peer leaves, takes none for too long, or the gate stops.
pub(in crate::internal_api) async fn stream<S>(stream: &mut S, mut reader: TailReader)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut bytes = HEAD.to_vec();
    while in_time(WRITE_TIME_MAX, write(stream, &bytes)).await == Some(true) {
        bytes.clear();
        // A peer that sends anything more, or that closes, reads no further.
        let left = async {
            let _ = stream.read(&mut [0; 1]).await;
            Some(false)
        };
        let more = in_time(SILENCE_MAX, future::or(async { Some(reader.next(&mut bytes).await) }, left));
        match more.await {
            Some(Some(true)) => {}
            None => bytes.push(b'\n'),
            Some(_) => return,
        }
    }
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> bool {
    stream.write_all(bytes).await.and(stream.flush().await).is_ok()
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let late = async {
        Timer::after(limit).await;
        None
    };
    future::or(async { Some(work.await) }, late).await
}

#[cfg(test)]
mod tests {
    use http_types::{Method, Url};

    use super::*;

    fn parsed(query: &str) -> Result<TailFilter, String> {
        filter(&Request::new(Method::Get, Url::parse(&format!("http://x/tail?{query}")).unwrap()))
    }

    #[test]
    fn parameters_become_a_filter() {
        assert_eq!(parsed(""), Ok(TailFilter::default()));
        let filter =
            parsed("rule=a%20b&status=5xx&host=A.test&slow_ms=1500&reason=no_rule&format=human&colours=true");
        assert_eq!(
            filter,
            Ok(TailFilter {
                rule: Some("a b".into()),
                status: Some(500..=599),
                host: Some("a.test".into()),
                slow: Some(Duration::from_millis(1_500)),
                reason: Some(Reason::NoRule),
                format: TailFormat::Human { colours: true },
            })
        );
        for query in ["status=6", "slow_ms=1s", "reason=none", "format=xml", "rul=a"] {
            assert!(parsed(query).is_err(), "{query}");
        }
    }
}
