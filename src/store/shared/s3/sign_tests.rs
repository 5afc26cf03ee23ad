//! Signatures that AWS has published: those of its guide to S3, and some of its test suite for Signature Version 4.

use super::*;

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The signature of a request to S3, as its guide computes it.
fn of_s3(method: &str, path: &str, query: &[(&str, &str)], more: &[(&str, &str)], digest: &str) -> String {
    let signer = Signer {
        user: "AKIAIOSFODNN7EXAMPLE",
        secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        region: "us-east-1",
        service: "s3",
        time: "20130524T000000Z",
    };
    let host = ("host", "examplebucket.s3.amazonaws.com");
    let fields = [&[host, ("x-amz-content-sha256", digest), ("x-amz-date", signer.time)], more].concat();
    signer.authorization(&Signed { method, path, query, fields: &fields, digest })
}

/// The signature of a request of the test suite.
fn of_the_suite(
    method: &str,
    path: &str,
    query: &[(&str, &str)],
    more: &[(&str, &str)],
    body: &str,
) -> String {
    let signer = Signer {
        user: "AKIDEXAMPLE",
        secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        region: "us-east-1",
        service: "service",
        time: "20150830T123600Z",
    };
    let fields = [&[("host", "example.amazonaws.com"), ("x-amz-date", signer.time)], more].concat();
    let digest = sha256(body.as_bytes());
    signer.authorization(&Signed { method, path, query, fields: &fields, digest: &digest })
}

fn signature(authorization: &str) -> &str {
    authorization.rsplit_once("Signature=").unwrap().1
}

#[test]
fn requests_of_the_guide_to_s3() {
    let get = of_s3("GET", "/test.txt", &[], &[("range", "bytes=0-9")], EMPTY);
    assert_eq!(
        get,
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
         SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
         Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    );
    let more = [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")];
    let put = of_s3("PUT", "/test%24file.text", &[], &more, &sha256(b"Welcome to Amazon S3."));
    assert_eq!(signature(&put), "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    let lifecycle = of_s3("GET", "/", &[("lifecycle", "")], &[], EMPTY);
    assert_eq!(signature(&lifecycle), "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    let list = of_s3("GET", "/", &[("max-keys", "2"), ("prefix", "J")], &[], EMPTY);
    assert_eq!(signature(&list), "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

#[test]
fn requests_of_the_test_suite() {
    let vanilla = of_the_suite("GET", "/", &[], &[], "");
    assert_eq!(
        vanilla,
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
         SignedHeaders=host;x-amz-date, \
         Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    );
    let order = of_the_suite("GET", "/", &[("Param2", "value2"), ("Param1", "value1")], &[], "");
    assert_eq!(signature(&order), "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
    let post = of_the_suite("POST", "/", &[], &[], "");
    assert_eq!(signature(&post), "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = of_the_suite("POST", "/", &[], &form, "Param1=value1");
    assert_eq!(signature(&body), "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a");
    let spaces =
        of_the_suite("GET", "/", &[], &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")], "");
    assert_eq!(signature(&spaces), "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736");
}

#[test]
fn a_query_is_encoded_and_sorted() {
    assert_eq!(query(&[("b", "a/b c+ü"), ("a", "")]), "a=&b=a%2Fb%20c%2B%C3%BC");
    assert_eq!(query(&[]), "");
}
