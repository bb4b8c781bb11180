//! TLS: whose certificates are trusted.

use std::path::PathBuf;
use std::sync::Arc;

use ecs_scheduler_backend_elasticsearch::Cluster;
use ecs_scheduler_core::JobStore as _;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use crate::fixture::{HASTE, Place, fault, listed, new_job, options};

/// Made once for these tests, for 127.0.0.1 and a hundred years; its authority's key was thrown away.
const CERTIFICATE: &[u8] = include_bytes!("../fixtures/tls/node.pem");
const KEY: &[u8] = include_bytes!("../fixtures/tls/node.key");

/// A door with TLS in front of a place.
struct Door {
    hosts: String,
    serving: AbortHandle,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn door(place: &Place) -> Door {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::from_pem_slice(KEY).unwrap())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hosts = format!("https://{}", listener.local_addr().unwrap());
    let behind = place.fake.hosts().trim_start_matches("http://").to_owned();
    let serving = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                let mut outside = acceptor.accept(stream).await?;
                let mut inside = TcpStream::connect(behind).await?;
                copy_bidirectional(&mut outside, &mut inside).await
            });
        }
    });
    Door { hosts, serving: serving.abort_handle() }
}

fn cluster(door: &Door, authority: Option<&str>) -> Cluster {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls"));
    let authority = authority.map(|file| folder.join(file));
    Cluster { nodes: Cluster::nodes(&door.hosts).unwrap(), authority, ..Cluster::default() }
}

#[tokio::test]
async fn a_cluster_that_signs_its_own_certificates_is_trusted_by_their_file() {
    let place = Place::new().await;
    let door = door(&place).await;
    let store = options(cluster(&door, Some("ca.pem")), "jobs").open().await.unwrap();
    store.create(new_job("a", "{}")).await.unwrap();
    assert_eq!(listed(&store).await.len(), 1);
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let place = Place::new().await;
    let door = door(&place).await;
    let mut options = options(cluster(&door, None), "jobs");
    options.patience = HASTE;
    let message = fault(&options.open().await.unwrap_err());
    assert!(message.contains("UnknownIssuer") || message.contains("ca-certificates"), "{message}");
    assert_eq!(place.fake.count(""), 0, "nothing was sent");
}

#[tokio::test]
async fn a_file_without_certificates_is_refused_by_its_name() {
    let place = Place::new().await;
    let door = door(&place).await;
    for file in ["node.key", "nowhere.pem"] {
        let message = fault(&options(cluster(&door, Some(file)), "jobs").open().await.unwrap_err());
        assert!(message.contains(file) && message.contains("PEM"), "{message}");
    }
}
