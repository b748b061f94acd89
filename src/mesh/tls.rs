//! Proof of membership: every holder of the mesh key can rebuild the same certificate authority, and signs a leaf for
//! its own key with it. The rest is ordinary TLS 1.3, checked both ways by rustls; there is no verifier of our own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose,
};
use ring::hkdf;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::ParsedCertificate;

use super::identity::{Identity, key_pair};
use super::key::MeshKey;
use crate::env::Clock;
use crate::fleet::PeerId;

/// The name every peer's certificate carries; who it is, its public key says.
pub(super) const SERVER_NAME: &str = "mesh.nexus";

/// The protocol spoken over QUIC.
const ALPN: &[u8] = b"nexus/1";

/// An idle connection says so every so often, and is given up after three of these.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
const IDLE_TIMEOUT: Duration = Duration::from_secs(6);

/// Before the first measurement. The default suits the Internet: on a local network it makes a lost first packet
/// cost a second.
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// Forwarded requests at once per connection: more would wait without a word.
const STREAMS: u32 = 4096;

/// Packets that may go without an acknowledgement of their own, for 25 ms at most: on a busy connection it travels with
/// the next packet of the other direction, and spares both ends a wake-up. draft-ietf-quic-ack-frequency.
const UNACKNOWLEDGED: u32 = 9;

/// Gossip waiting to be read, per connection.
const DATAGRAM_BUFFER: usize = 1 << 20;

/// Both halves of what a peer needs to speak to its mesh.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) server: quinn::ServerConfig,
    pub(super) client: quinn::ClientConfig,
}

impl Credentials {
    /// Credentials of `identity` in the mesh of this key and name.
    pub(super) fn new(
        key: &MeshKey,
        mesh_name: &str,
        identity: &Identity,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, rustls::Error> {
        let (authority, leaf) = certificates(key, mesh_name, identity);
        let secret = || PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key().serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let time: Arc<WallTime> = Arc::new(WallTime(clock));
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority)?;
        let roots = Arc::new(roots);
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;

        let mut server = rustls::ServerConfig::builder_with_details(provider.clone(), time.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![leaf.clone()], secret())?;
        server.alpn_protocols = vec![ALPN.to_vec()];
        server.send_tls13_tickets = 0;

        let mut client = rustls::ClientConfig::builder_with_details(provider, time.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![leaf], secret())?;
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.resumption = rustls::client::Resumption::disabled();

        Self::over_quic(server, client, identity, time)
    }

    fn over_quic(
        server: rustls::ServerConfig,
        client: rustls::ClientConfig,
        identity: &Identity,
        time: Arc<WallTime>,
    ) -> Result<Self, rustls::Error> {
        let unusable = |_| rustls::Error::General("no cipher suite for QUIC".to_owned());
        let transport = Arc::new(transport());
        let token_key = hkdf::Salt::new(hkdf::HKDF_SHA256, b"nexus-retry-v1").extract(&identity.derive("retry"));
        let crypto = Arc::new(QuicServerConfig::try_from(server).map_err(unusable)?);
        let mut server = quinn::ServerConfig::new(crypto, Arc::new(token_key));
        server.transport_config(transport.clone()).time_source(time);
        let mut client = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(client).map_err(unusable)?));
        client.transport_config(transport);
        Ok(Credentials { server, client })
    }
}

fn transport() -> quinn::TransportConfig {
    let mut acknowledgements = quinn::AckFrequencyConfig::default();
    acknowledgements.ack_eliciting_threshold(UNACKNOWLEDGED.into());
    let mut transport = quinn::TransportConfig::default();
    transport
        .ack_frequency_config(Some(acknowledgements))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(IDLE_TIMEOUT.try_into().expect("six seconds fit")))
        .initial_rtt(INITIAL_RTT)
        .max_concurrent_bidi_streams(STREAMS.into())
        .max_concurrent_uni_streams(STREAMS.into())
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER))
        .datagram_send_buffer_size(DATAGRAM_BUFFER);
    transport
}

/// The authority of the mesh, the same on every peer, and a leaf of it for this one.
fn certificates(
    key: &MeshKey,
    mesh_name: &str,
    identity: &Identity,
) -> (CertificateDer<'static>, CertificateDer<'static>) {
    let valid = "only fixed names and numbers go into it";
    let authority_key = key_pair(&key.derive("ca-ed25519", mesh_name));
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.serial_number = Some(1u64.into());
    authority.distinguished_name = common_name("nexus mesh");
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    authority.not_before = rcgen::date_time_ymd(1970, 1, 1);
    let certificate = authority.self_signed(&authority_key).expect(valid);

    let mut leaf = CertificateParams::new(vec![SERVER_NAME.to_owned()]).expect(valid);
    leaf.serial_number = Some(2u64.into());
    leaf.distinguished_name = common_name("nexus peer");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    leaf.not_before = rcgen::date_time_ymd(1970, 1, 1);
    let issuer = Issuer::from_params(&authority, &authority_key);
    let leaf = leaf.signed_by(identity.key(), &issuer).expect(valid);
    (certificate.der().clone(), leaf.der().clone())
}

fn common_name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

/// Who is at the other end, as its certificate proves.
pub(super) fn peer_of(connection: &quinn::Connection) -> Option<PeerId> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    let leaf = ParsedCertificate::try_from(chain.first()?).ok()?;
    Some(PeerId::of_public_key(&leaf.subject_public_key_info()))
}

struct WallTime(Arc<dyn Clock>);

impl rustls::time_provider::TimeProvider for WallTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.0.since_epoch()))
    }
}

impl quinn::TimeSource for WallTime {
    fn now(&self) -> std::time::SystemTime {
        std::time::UNIX_EPOCH + self.0.since_epoch()
    }
}

impl fmt::Debug for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallTime")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{Env, WallClock};

    #[test]
    fn every_holder_rebuilds_the_same_authority_and_nobody_else_does() {
        let directories = [tempfile::tempdir(), tempfile::tempdir()].map(|made| made.expect("a directory"));
        let [one, two] = directories.each_ref().map(|at| Identity::open(at.path(), &Env::real()).expect("an identity"));
        let key = MeshKey::generate(&crate::env::Seed::fixed(3));
        let (authority, leaf) = certificates(&key, "home", &one);
        assert_eq!(authority, certificates(&key, "home", &two).0);
        assert_ne!(authority, certificates(&key, "work", &one).0);
        assert_ne!(authority, certificates(&MeshKey::open(), "home", &one).0);
        let parsed = ParsedCertificate::try_from(&leaf).expect("our own certificate");
        assert_eq!(&PeerId::of_public_key(&parsed.subject_public_key_info()), one.id());
    }

    #[test]
    fn credentials_are_accepted_by_the_libraries() {
        let directory = tempfile::tempdir().expect("a directory");
        let identity = Identity::open(directory.path(), &Env::real()).expect("an identity");
        assert!(Credentials::new(&MeshKey::open(), "home", &identity, Arc::new(WallClock)).is_ok());
    }
}
