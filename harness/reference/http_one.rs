//! Answers one HTTP request a connection.

use super::conversation::Conversation;
use super::server::ReferenceServer;
use std::io;
use std::time::Duration;
use tokio::time::timeout;

pub(super) const HTTP_ONE: ReferenceServer = ReferenceServer::stream(
    "http-one",
    "Answers one HTTP/1.1 request with `Connection: close`, then closes.",
    |client| Box::pin(converse(client)),
);

/// The silence that the profile promises to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// A head that comes a byte at a time ends here, however lively the client is.
const HEAD_WITHIN: Duration = Duration::from_secs(60);

/// The longest head; clients may send more and are told so.
const HEAD_BYTES: usize = 8 << 10;

const BLANK_LINE: &[u8] = b"\r\n\r\n";

async fn converse(client: &mut Conversation) -> io::Result<()> {
    let Ok(head) = timeout(HEAD_WITHIN, head(client)).await else {
        return Ok(());
    };
    match head? {
        Some(head) => client.write_all(response(&head).as_bytes()).await,
        None => Ok(()),
    }
}

/// Reads the head, or as much of it as shows that it is too long; `None` if the client leaves or falls silent.
async fn head(client: &mut Conversation) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while length(&head).is_none() && head.len() <= HEAD_BYTES {
        let more = async {
            match head.is_empty() {
                true => client.read(&mut buffer).await,
                false => client.read_rest(&mut buffer).await,
            }
        };
        match timeout(PATIENCE, more).await {
            Ok(Ok(count @ 1..)) => head.extend_from_slice(&buffer[..count]),
            Ok(Err(error)) => return Err(error),
            Ok(Ok(0)) | Err(_) => return Ok(None),
        }
    }
    Ok(Some(head))
}

/// The length of the head up to the blank line, if that has come. Empty lines before the request are no head (RFC 9112,
/// section 2.2).
fn length(head: &[u8]) -> Option<usize> {
    let start = head.iter().position(|byte| !b"\r\n".contains(byte))?;
    let end = head[start..]
        .windows(BLANK_LINE.len())
        .position(|window| window == BLANK_LINE)?;
    Some(start + end)
}

const MALFORMED: &str = "400 Bad Request";
const NOT_FOUND: &str = "404 Not Found";
const NOT_ALLOWED: &str = "405 Method Not Allowed";
const TOO_LARGE: &str = "431 Request Header Fields Too Large";

fn response(head: &[u8]) -> String {
    let (status, fields, body) = match judge(head) {
        Ok(()) => (
            "200 OK",
            "Content-Type: text/plain\r\n",
            "hello from http-one\n",
        ),
        Err(NOT_ALLOWED) => (NOT_ALLOWED, "Allow: GET\r\n", ""),
        Err(status) => (status, "", ""),
    };
    format!(
        "HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// The status of the refusal, where there is reason for one.
fn judge(head: &[u8]) -> Result<(), &'static str> {
    let end = length(head).filter(|end| *end <= HEAD_BYTES);
    let text = String::from_utf8_lossy(&head[..end.ok_or(TOO_LARGE)?]);
    match request(&text).ok_or(MALFORMED)? {
        ("GET", "/") => Ok(()),
        ("GET", _) => Err(NOT_FOUND),
        _ => Err(NOT_ALLOWED),
    }
}

/// The method and the target, unless the head is malformed.
fn request(head: &str) -> Option<(&str, &str)> {
    let mut lines = head.trim_start_matches(['\r', '\n']).split("\r\n");
    let words: Vec<_> = lines.next()?.split(' ').collect();
    let [method, target, version] = words[..] else {
        return None;
    };
    let names: Vec<_> = lines.map(field).collect::<Option<_>>()?;
    let is_host = |name: &&&str| name.eq_ignore_ascii_case("host");
    let well_named = match (version, names.iter().filter(is_host).count()) {
        ("HTTP/1.1", hosts) => hosts == 1,
        ("HTTP/1.0", hosts) => hosts <= 1,
        _ => false,
    };
    (well_named && is_token(method) && is_printable(target)).then_some((method, target))
}

/// The name of a header field, unless the line is malformed.
fn field(line: &str) -> Option<&str> {
    let (name, value) = line.split_once(':')?;
    (is_token(name) && !value.contains(['\r', '\n', '\0'])).then_some(name)
}

fn is_token(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.chars().all(allowed)
}

fn is_printable(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(head: &str) -> &'static str {
        judge(head.as_bytes()).err().unwrap_or("200")
    }

    #[test]
    fn request_for_the_root_is_answered() {
        assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "200");
        assert_eq!(status("\r\nGET / HTTP/1.0\r\n\r\nbody"), "200");
    }

    #[test]
    fn refusals_say_why() {
        let cases = [
            ("GET /a HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
            ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", "405"),
            ("GET / HTTP/1.1\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400"),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", "400"),
            ("nonsense\r\n\r\n", "400"),
        ];
        for (head, expected) in cases {
            assert!(
                status(head).starts_with(expected),
                "{head:?}: {}",
                status(head)
            );
        }
    }

    #[test]
    fn head_without_end_is_too_large() {
        let long = format!("GET / HTTP/1.1\r\nHost: {}", "a".repeat(HEAD_BYTES));
        assert!(status(&long).starts_with("431"));
        assert!(status(&format!("{long}\r\n\r\n")).starts_with("431"));
    }

    #[test]
    fn body_is_as_long_as_the_header_says() {
        let response = response(b"GET / HTTP/1.0\r\n\r\n");
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
    }
}
