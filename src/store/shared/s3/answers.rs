//! Answers of the server: XML, of which a few elements count.

use crate::store::shared::values::Version;

/// A part of a list.
pub(super) struct Page {
    /// Keys with their versions.
    pub(super) keys: Vec<(String, Version)>,
    /// The token with which the list goes on. `None` at its end.
    pub(super) next: Option<String>,
}

/// Reads an answer to a request for a list. `None` if it is none.
pub(super) fn page(body: &[u8]) -> Option<Page> {
    let list = inside(std::str::from_utf8(body).ok()?, "ListBucketResult")?.0;
    let (mut keys, mut rest) = (Vec::new(), list);
    while let Some((entry, behind)) = inside(rest, "Contents") {
        keys.push((text(entry, "Key")?, Version(text(entry, "ETag")?.into())));
        rest = behind;
    }
    let goes_on = text(list, "IsTruncated").is_some_and(|word| word == "true");
    let next = text(list, "NextContinuationToken").filter(|_| goes_on);
    (next.is_some() == goes_on).then_some(Page { keys, next })
}

/// The content of the first element with this name. It has no elements in it.
pub(super) fn text(xml: &str, name: &str) -> Option<String> {
    let content = inside(xml, name)?.0;
    let mut plain = String::with_capacity(content.len());
    let mut rest = content;
    while let Some((before, behind)) = rest.split_once('&') {
        let (entity, behind) = behind.split_once(';')?;
        plain.push_str(before);
        plain.push(character(entity)?);
        rest = behind;
    }
    plain.push_str(rest);
    Some(plain)
}

/// The character that an entity stands for.
fn character(entity: &str) -> Option<char> {
    let number = match entity {
        "amp" => return Some('&'),
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        _ => entity.strip_prefix('#')?,
    };
    let number = match number.strip_prefix('x') {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => number.parse(),
    };
    char::from_u32(number.ok()?)
}

/// The content of the first element with this name, and the text behind the element.
fn inside<'a>(xml: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let open = format!("<{name}");
    let is_whole = |rest: &&str| rest.starts_with(['>', ' ', '/', '\n', '\r', '\t']);
    let behind = xml.match_indices(&open).map(|(at, _)| &xml[at + open.len()..]).find(is_whole)?;
    let (attributes, behind) = behind.split_once('>')?;
    if attributes.ends_with('/') {
        return Some(("", behind));
    }
    behind.split_once(&format!("</{name}>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix/><KeyCount>2</KeyCount>
<IsTruncated>true</IsTruncated><NextContinuationToken>a/b+c=</NextContinuationToken>
<Contents><Key>ca/live/a.test</Key><LastModified>2026-11-30T00:00:00.000Z</LastModified><ETag>&quot;1&quot;</ETag><Size>3</Size></Contents>
<Contents><ETag>"2"</ETag><Key>a&amp;b&#x41;&#66;</Key></Contents></ListBucketResult>"#;

    #[test]
    fn a_list_is_read() {
        let Page { keys, next } = page(LIST.as_bytes()).unwrap();
        let keys: Vec<(&str, &str)> = keys.iter().map(|(key, version)| (&**key, &*version.0)).collect();
        assert_eq!(keys, [("ca/live/a.test", "\"1\""), ("a&bAB", "\"2\"")]);
        assert_eq!(next.as_deref(), Some("a/b+c="));
        let last = page(LIST.replace("true", "false").as_bytes()).unwrap();
        assert_eq!((last.next, last.keys.len()), (None, 2));
        assert!(page(b"<ListBucketResult/>").unwrap().keys.is_empty());
    }

    #[test]
    fn anything_else_is_no_list() {
        for text in [
            "",
            "<html></html>",
            "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
            "<ListBucketResult><Contents><Key>a",
            "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
            "<ListBucketResult><Contents><Key>&who;</Key><ETag>1</ETag></Contents></ListBucketResult>",
        ] {
            assert!(page(text.as_bytes()).is_none(), "{text}");
        }
        for length in 0..LIST.len() {
            assert!(page(&LIST.as_bytes()[..length]).is_none(), "{length}");
        }
    }

    #[test]
    fn a_code_of_an_error_is_read() {
        let error =
            "<Error><Code>NoSuchBucket</Code><Message>The bucket &lt;a&gt;</Message><CodeX>1</CodeX></Error>";
        assert_eq!(text(error, "Code").as_deref(), Some("NoSuchBucket"));
        assert_eq!(text(error, "Message").as_deref(), Some("The bucket <a>"));
        assert_eq!(text(error, "Region"), None);
    }
}
