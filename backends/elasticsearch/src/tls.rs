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

/// Adds the certificates of a PEM file.
///
/// # Errors
///
/// Fails when the file cannot be read, and when it contains no valid certificate.
pub(crate) fn trust(roots: &mut RootCertStore, file: &Path) -> Result<(), StoreError> {
    let refused = |why: String| {
        let message =
            format!("could not read certificates from {file:?}; name a PEM file of certificates ({why})");
        StoreError::fault(FaultKind::Config, message)
    };
    // A device or a pipe may have no end.
    match file.metadata() {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Err(refused("it is not a file".to_owned())),
        Err(error) => return Err(refused(error.to_string())),
    }
    let mut found = 0;
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| refused(error.to_string()))? {
        let certificate = certificate.map_err(|error| refused(error.to_string()))?;
        roots.add(certificate).map_err(|error| refused(error.to_string()))?;
        found += 1;
    }
    if found == 0 { Err(refused("it contains no certificate".to_owned())) } else { Ok(()) }
}
