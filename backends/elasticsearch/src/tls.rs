//! TLS with rustls and ring, as the AWS SDK uses it, so that only one implementation is linked.

use std::path::Path;
use std::sync::Arc;

use ecs_scheduler_core::{FaultKind, StoreError};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Makes the connector to nodes, with TLS or without.
///
/// `secure` says whether a node uses TLS: only then are the system's certificates read. `authority` is a file of
/// certificates that are trusted in addition.
///
/// # Errors
///
/// Fails when no certificate is trusted at all, or when the file cannot be read.
pub(crate) fn connector(
    tcp: HttpConnector,
    secure: bool,
    authority: Option<&Path>,
) -> Result<HttpsConnector<HttpConnector>, StoreError> {
    let mut roots = RootCertStore::empty();
    if secure {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(file) = authority {
            trust(&mut roots, file)?;
        }
        if roots.is_empty() {
            let message = "could not find trusted certificates; install those of the system (ca-certificates), or name those \
                           of the cluster with ECSS_ELASTICSEARCH_CA_FILE";
            return Err(StoreError::fault(FaultKind::Config, message));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp))
}

fn trust(roots: &mut RootCertStore, file: &Path) -> Result<(), StoreError> {
    let unreadable = |error: rustls::pki_types::pem::Error| {
        let message = format!(
            "could not read certificates from {file:?}; ECSS_ELASTICSEARCH_CA_FILE must name a PEM file"
        );
        StoreError::fault(FaultKind::Config, format!("{message} ({error})"))
    };
    let mut found = 0;
    for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
        roots.add(certificate.map_err(unreadable)?).map_err(|error| {
            StoreError::with_source(
                FaultKind::Config,
                format!("could not trust a certificate in {file:?}"),
                error,
            )
        })?;
        found += 1;
    }
    if found == 0 {
        let message = format!("could not find a certificate in {file:?}; it must be a PEM file");
        return Err(StoreError::fault(FaultKind::Config, message));
    }
    Ok(())
}
