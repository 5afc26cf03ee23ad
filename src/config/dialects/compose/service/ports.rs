//! The port of a service without a label for it.

use std::collections::BTreeSet;

use crate::config::diagnostics::Span;
use crate::config::dialects::compose::project::{LabelError, Reader};
use crate::config::syntax::{Node, Value};
use crate::config::values::ValueError;

/// Ports of one range that are looked at.
const RANGE_MAX: u16 = 1_000;

/// A port to connect to.
pub(super) fn port(text: &str) -> Result<u16, ValueError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|port| digits && *port != 0);
    port.ok_or(ValueError::hint("is not a port", "write a number between 1 and 65535"))
}

/// The only TCP port of `expose` and `ports`. `span` is the place of errors.
pub(in crate::config::dialects::compose) fn infer(
    reader: &Reader<'_>,
    service: &Node,
    span: Span,
) -> Result<u16, LabelError> {
    let mut found = BTreeSet::new();
    for (key, read) in [("expose", exposed as fn(&Reader<'_>, &Node) -> Ports), ("ports", published)] {
        match service.get(key).map(|node| &node.value) {
            Some(Value::List(items)) => items.iter().for_each(|item| found.extend(read(reader, item))),
            // One port without a list is not valid in a compose file, but it is clear.
            Some(Value::Scalar(_)) => {
                found.extend(service.get(key).map(|node| read(reader, node)).into_iter().flatten())
            }
            _ => {}
        }
    }
    let mut all = found.iter();
    match (all.next(), all.next()) {
        (Some(port), None) => Ok(*port),
        (None, _) => {
            let message =
                "its port is not known: it has no `port`, and neither `expose` nor `ports` name one";
            Err(LabelError::new(span, message, "add `smolgate.port: PORT`, the one inside the container"))
        }
        (Some(_), Some(_)) => {
            let shown: Vec<String> = found.iter().take(10).map(u16::to_string).collect();
            let more = if found.len() > shown.len() { ", ..." } else { "" };
            let message = format!("its port is not clear: it could be {}{more}", shown.join(", "));
            Err(LabelError::new(span, message, "add `smolgate.port:` with one of them"))
        }
    }
}

/// The protocol of a well-known port that is not for HTTP.
pub(super) fn other_protocol(port: u16) -> Option<&'static str> {
    OTHER_PROTOCOLS.iter().find(|(known, _)| *known == port).map(|(_, protocol)| *protocol)
}

/// Ports of images that people run, and their protocols. Ports that are used for HTTP too are not here.
const OTHER_PROTOCOLS: [(u16, &str); 32] = [
    (21, "FTP"),
    (22, "SSH"),
    (25, "SMTP"),
    (53, "DNS"),
    (110, "POP3"),
    (143, "IMAP"),
    (389, "LDAP"),
    (445, "SMB"),
    (465, "SMTP"),
    (587, "SMTP"),
    (636, "LDAP"),
    (993, "IMAP"),
    (995, "POP3"),
    (1433, "SQL Server"),
    (1521, "Oracle"),
    (1883, "MQTT"),
    (2049, "NFS"),
    (2181, "ZooKeeper"),
    (3306, "MySQL"),
    (3389, "RDP"),
    (4222, "NATS"),
    (5432, "PostgreSQL"),
    (5672, "AMQP"),
    (5900, "VNC"),
    (6379, "Redis"),
    (6667, "IRC"),
    (8883, "MQTT"),
    (9042, "Cassandra"),
    (9092, "Kafka"),
    (11211, "memcached"),
    (25565, "Minecraft"),
    (27017, "MongoDB"),
];

type Ports = Vec<u16>;

/// `3000`, `"3000/tcp"`, `"3000-3005"`.
fn exposed(reader: &Reader<'_>, node: &Node) -> Ports {
    range(&reader.lenient(node))
}

/// `80`, `"8080:80"`, `"127.0.0.1:8080:80/tcp"`, `"9090-9091:8080-8081"`, `{target: 80}`.
fn published(reader: &Reader<'_>, node: &Node) -> Ports {
    if let Value::Map(_) = node.value {
        let udp = node.get("protocol").is_some_and(|protocol| reader.lenient(protocol) == "udp");
        return node
            .get("target")
            .filter(|_| !udp)
            .map(|target| range(&reader.lenient(target)))
            .unwrap_or_default();
    }
    let text = reader.lenient(node);
    range(text.rsplit(':').next().unwrap_or_default())
}

/// The ports of `from` or `from-to`, either with `/tcp`. Other protocols have none.
fn range(text: &str) -> Ports {
    let (ports, protocol) = text.trim().split_once('/').unwrap_or((text.trim(), "tcp"));
    let (from, to) = ports.split_once('-').unwrap_or((ports, ports));
    match (port(from), port(to)) {
        (Ok(from), Ok(to)) if protocol == "tcp" && from <= to => {
            (from..=to.min(from.saturating_add(RANGE_MAX))).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (text, expected) in [
            ("80", vec![80]),
            ("80/tcp", vec![80]),
            ("80-82", vec![80, 81, 82]),
            ("53/udp", vec![]),
            ("82-80", vec![]),
            ("0", vec![]),
            ("65535-65535", vec![65535]),
            ("", vec![]),
            ("http", vec![]),
        ] {
            assert_eq!(range(text), expected, "{text}");
        }
    }
}
