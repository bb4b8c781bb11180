//! TLS: trusted and refused certificates.

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

use crate::fixture::{SHORT_TIMEOUTS, TestCluster, fault_chain, listed, new_job, options};

/// A certificate for 127.0.0.1, valid for a hundred years. The key of its authority was deleted.
const CERTIFICATE: &[u8] = include_bytes!("../fixtures/tls/node.pem");
const KEY: &[u8] = include_bytes!("../fixtures/tls/node.key");

/// A proxy with TLS in front of a cluster.
struct TlsProxy {
    hosts: String,
    serving: AbortHandle,
}

impl Drop for TlsProxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn start_proxy(cluster: &TestCluster) -> TlsProxy {
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
    let behind = cluster.fake.hosts().trim_start_matches("http://").to_owned();
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
    TlsProxy { hosts, serving: serving.abort_handle() }
}

fn tls_cluster(proxy: &TlsProxy, authority: Option<&str>) -> Cluster {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls"));
    let authority = authority.map(|file| folder.join(file));
    Cluster { nodes: Cluster::nodes(&proxy.hosts).unwrap(), authority, ..Cluster::default() }
}

#[tokio::test]
async fn private_authority_is_trusted_with_its_certificate_file() {
    let cluster = TestCluster::new().await;
    let proxy = start_proxy(&cluster).await;
    let store = options(tls_cluster(&proxy, Some("ca.pem")), "jobs").open().await.unwrap();
    store.create(new_job("a", "{}")).await.unwrap();
    assert_eq!(listed(&store).await.len(), 1);
}

#[tokio::test]
async fn certificate_of_an_unknown_authority_is_refused() {
    let cluster = TestCluster::new().await;
    let proxy = start_proxy(&cluster).await;
    let mut options = options(tls_cluster(&proxy, None), "jobs");
    options.timeouts = SHORT_TIMEOUTS;
    let message = fault_chain(&options.open().await.unwrap_err());
    assert!(message.contains("UnknownIssuer") || message.contains("ca-certificates"), "{message}");
    assert_eq!(cluster.fake.count(""), 0, "nothing was sent");
}

#[tokio::test]
async fn file_without_certificates_is_refused_with_its_name() {
    let cluster = TestCluster::new().await;
    let proxy = start_proxy(&cluster).await;
    for file in ["node.key", "nowhere.pem"] {
        let message =
            fault_chain(&options(tls_cluster(&proxy, Some(file)), "jobs").open().await.unwrap_err());
        assert!(message.contains(file) && message.contains("PEM"), "{message}");
    }
}
