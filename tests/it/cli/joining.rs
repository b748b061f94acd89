//! Invitations to a mesh, made and followed.

use super::{Place, scripted};

#[test]
fn an_invitation_is_followed() {
    let (here, there) = (Place::new(), Place::new());
    here.write("nexus.toml", "# mine\n[mesh]\nname = \"home\" # ours\nadvertise = [\"10.0.0.1:8001\"]\n");
    let invited = here.run("mesh invite").ok();
    let token = invited.stdout.trim();
    assert!(token.starts_with("nexus1-") && invited.stdout.lines().count() == 1, "{invited:?}");
    let text = here.read("nexus.toml");
    assert!(text.starts_with("# mine\n[mesh]\nname = \"home\" # ours\n") && text.contains("\nkey = \""), "{text}");
    assert_eq!(here.run("mesh invite").ok().stdout.trim(), token, "the key is made once");

    there.write("nexus.toml", "[server] # here\nport = 9000\n");
    let joined = there.run(&format!("mesh join {token}")).ok();
    assert!(joined.stderr.contains("next start"), "{joined:?}");
    let key = text.lines().find(|line| line.starts_with("key = ")).expect("a key");
    let expected =
        format!("[server] # here\nport = 9000\n\n[mesh]\nname = \"home\"\n{key}\nseeds = [\"10.0.0.1:8001\"]\n");
    assert_eq!(there.read("nexus.toml"), expected);
    there.run(&format!("mesh join {token}")).ok();
    assert_eq!(there.read("nexus.toml"), expected, "twice is once");
}

#[test]
fn an_invitation_makes_a_file_where_there_is_none() {
    let place = Place::new();
    place.run("mesh invite -c new.toml").ok();
    assert!(place.read("new.toml").starts_with("[mesh]\nkey = \""));
    place.run("mesh join desk -c other.toml").ok();
    assert_eq!(place.read("other.toml"), "[mesh]\nseeds = [\"desk:8001\"]\n");
}

#[test]
fn a_broken_token_is_refused_and_nothing_written() {
    let place = Place::new();
    for token in ["nexus1-eyJuIjoi", "nexus2-eyJuIjoi", "http://desk:8001"] {
        let error = place.run(&format!("mesh join {token}")).error();
        assert!(error.starts_with("Error: "), "{error}");
        assert!(!place.path("nexus.toml").exists());
    }
}

#[test]
fn a_running_peer_takes_up_what_was_joined() {
    let (place, asked) = scripted(&[(200, "{}")]);
    let joined = place.run("mesh join desk:1").ok();
    assert!(joined.stderr.contains("has taken it up"), "{joined:?}");
    let request = asked.recv().expect("asked");
    assert!(request.starts_with("POST /nexus/v1/mesh/join ") && request.contains(r#""seeds":["desk:1"]"#), "{request}");
}
