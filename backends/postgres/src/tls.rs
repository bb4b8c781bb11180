//! TLS with rustls: whom to trust, as `sslmode` says.

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

use crate::config::{Place, Trust};

/// Makes what connects to the server.
///
/// # Errors
///
/// Fails when authorities are needed and cannot be read.
pub(crate) fn connector(place: &Place) -> Result<MakeRustlsConnect, StoreError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::caused(FaultKind::Bug, "could not prepare TLS", error))?;
    let config = match place.trust {
        Trust::Host => builder.with_root_certificates(roots(place)?).with_no_client_auth(),
        Trust::Authority | Trust::Anyone => {
            let verifier = Lenient { authority: authority(place, &provider)?, provider };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

/// Reads the authorities: those of `sslrootcert`, else the system's.
fn roots(place: &Place) -> Result<Arc<RootCertStore>, StoreError> {
    let mut store = RootCertStore::empty();
    match &place.roots {
        Some(path) => {
            let refuse = |error: Cause| {
                let message = format!("could not read the certificates in {path:?}, which sslrootcert names");
                StoreError::caused(FaultKind::Config, message, error)
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
        let message = "the server's certificate cannot be checked, because no authority is known; name a file of \
                       certificates with sslrootcert in ECSS_POSTGRES_URL, or install the system's (ca-certificates)";
        return Err(StoreError::fault(FaultKind::Config, message));
    }
    Ok(Arc::new(store))
}

fn authority(
    place: &Place,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<WebPkiServerVerifier>>, StoreError> {
    if place.trust == Trust::Anyone {
        return Ok(None);
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(place)?, Arc::clone(provider)).build();
    verifier.map(Some).map_err(|error| {
        StoreError::caused(FaultKind::Config, "could not prepare the check of certificates", error)
    })
}

/// Checks less than rustls does: the authority but not the name, or the signature of the handshake only.
#[derive(Debug)]
struct Lenient {
    authority: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
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
            // The name is checked last: all else was found to be right.
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
