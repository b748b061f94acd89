//! What the demonstration prints when it is up: where the peers are, and lines that work as they stand.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::{Running, SHARED};

/// A peer as far as the text needs it.
struct Entry<'a> {
    name: &'a str,
    model: &'a str,
    tokens_per_second: f64,
    slots: u32,
    address: SocketAddr,
}

pub(super) fn text(running: &[Running]) -> String {
    let entries: Vec<_> = running
        .iter()
        .map(|peer| Entry {
            name: &peer.part.name,
            model: &peer.part.model,
            tokens_per_second: peer.part.tokens_per_second,
            slots: peer.part.slots,
            address: peer.node.http_address(),
        })
        .collect();
    write(&entries, &program())
}

fn write(entries: &[Entry<'_>], program: &str) -> String {
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return String::new() };
    let mut text = format!("\n{} up. Any of them answers for all:\n\n", peers(entries.len()));
    for Entry { name, model, tokens_per_second, slots, address } in entries {
        let slot = if *slots == 1 { "slot" } else { "slots" };
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "  {name}  http://{address}  {model} and {SHARED}, {tokens_per_second} tokens/s, {slots} {slot}"
        );
    }
    let _ = writeln!(text, "\nAsk for a model that every peer has:\n\n{}", curl("-s", first.address, SHARED, false));
    let _ = writeln!(text, "\nThe same, as it is made:\n\n{}", curl("-sN", first.address, SHARED, true));
    if entries.len() > 1 {
        let _ = writeln!(
            text,
            "\nAsk {} for a model that only {} has (see x-nexus-peer):\n\n{}",
            first.name,
            last.name,
            curl("-si", first.address, last.model, false)
        );
    }
    let port = first.address.port();
    let _ = writeln!(text, "\nSee the mesh:\n\nNEXUS_PORT={port} {program} mesh status");
    let _ = writeln!(text, "\nThe same in a browser:\n\nhttp://{}/", first.address);
    text.push_str("\nCtrl-C ends all of it.\n");
    text
}

fn peers(count: usize) -> String {
    if count == 1 { "One peer is".to_owned() } else { format!("{count} peers are") }
}

fn curl(flags: &str, address: SocketAddr, model: &str, stream: bool) -> String {
    let stream = if stream { ",\"stream\":true" } else { "" };
    format!(
        "curl {flags} http://{address}/v1/chat/completions -H 'content-type: application/json' \
         -d '{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]{stream}}}'"
    )
}

/// This program as a shell finds it from here.
fn program() -> String {
    let Ok(path) = std::env::current_exe() else { return "nexus".to_owned() };
    let here: Option<PathBuf> = std::env::current_dir().ok();
    let short = here.as_deref().and_then(|here| path.strip_prefix(here).ok()).map(|rest| Path::new(".").join(rest));
    let shown = short.unwrap_or(path).display().to_string();
    if shown.contains(|character: char| character.is_whitespace() || "'\"$&;()".contains(character)) {
        format!("'{}'", shown.replace('\'', r"'\''"))
    } else {
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_is_a_page_of_lines_to_paste() {
        let entry = |name, model, port| Entry {
            name,
            model,
            tokens_per_second: 20.0,
            slots: 1,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
        };
        let entries = [entry("peer-1", "demo-fast", 8000), entry("peer-2", "demo-slow", 8001)];
        insta::assert_snapshot!(write(&entries, "./nexus"), @r#"
        2 peers are up. Any of them answers for all:

          peer-1  http://127.0.0.1:8000  demo-fast and demo-shared, 20 tokens/s, 1 slot
          peer-2  http://127.0.0.1:8001  demo-slow and demo-shared, 20 tokens/s, 1 slot

        Ask for a model that every peer has:

        curl -s http://127.0.0.1:8000/v1/chat/completions -H 'content-type: application/json' -d '{"model":"demo-shared","messages":[{"role":"user","content":"Hello"}]}'

        The same, as it is made:

        curl -sN http://127.0.0.1:8000/v1/chat/completions -H 'content-type: application/json' -d '{"model":"demo-shared","messages":[{"role":"user","content":"Hello"}],"stream":true}'

        Ask peer-1 for a model that only peer-2 has (see x-nexus-peer):

        curl -si http://127.0.0.1:8000/v1/chat/completions -H 'content-type: application/json' -d '{"model":"demo-slow","messages":[{"role":"user","content":"Hello"}]}'

        See the mesh:

        NEXUS_PORT=8000 ./nexus mesh status

        The same in a browser:

        http://127.0.0.1:8000/

        Ctrl-C ends all of it.
        "#);
    }
}
