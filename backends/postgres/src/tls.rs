//! TLS with rustls: verifies the server's certificate as `sslmode` says.

use std::sync::Arc;

use ecs_scheduler_core::fault::Cause;
use ecs_scheduler_core::{FaultKind, StoreError};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{ConnectionConfig, TlsVerification};

/// Makes the TLS connector of a database.
///
/// # Errors
///
/// Fails when trusted authorities are needed and cannot be read.
pub(crate) fn connector(database: &ConnectionConfig) -> Result<MakeRustlsConnect, StoreError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::with_source(FaultKind::Bug, "could not prepare TLS", error))?;
    let config = match database.verification {
        TlsVerification::Full => builder.with_root_certificates(load_roots(database)?).with_no_client_auth(),
        TlsVerification::Ca | TlsVerification::Skip => {
            let verifier = RelaxedVerifier { authority: authority_verifier(database, &provider)?, provider };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

/// Loads the trusted authorities: those of `sslrootcert`, else the system's.
fn load_roots(database: &ConnectionConfig) -> Result<Arc<RootCertStore>, StoreError> {
    let mut store = RootCertStore::empty();
    match &database.roots {
        Some(path) => {
            let refuse = |error: Cause| {
                let message = format!("could not read the certificates in {path:?}; correct sslrootcert");
                StoreError::with_source(FaultKind::Config, message, error)
            };
            let read = CertificateDer::pem_file_iter(path).map_err(|error| refuse(error.into()))?;
            for certificate in read {
                let certificate = certificate.map_err(|error| refuse(error.into()))?;
                store.add(certificate).map_err(|error| refuse(error.into()))?;
            }
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if store.is_empty() {
        let message = "could not verify the server's certificate: no authority is trusted; name a file of certificates \
                       with sslrootcert in the URL of the database, or install those of the system (ca-certificates)";
        return Err(StoreError::fault(FaultKind::Config, message));
    }
    Ok(Arc::new(store))
}

fn authority_verifier(
    database: &ConnectionConfig,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<WebPkiServerVerifier>>, StoreError> {
    if database.verification == TlsVerification::Skip {
        return Ok(None);
    }
    let roots = load_roots(database)?;
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
    verifier.map(Some).map_err(|error| {
        StoreError::with_source(
            FaultKind::Config,
            "could not prepare the verification of certificates",
            error,
        )
    })
}

/// Verifies less than rustls does: the authority but not the host's name, or only the signature of the handshake.
#[derive(Debug)]
struct RelaxedVerifier {
    authority: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for RelaxedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authority) = &self.authority else { return Ok(ServerCertVerified::assertion()) };
        match authority.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is checked last, so the rest of the certificate is valid.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
