//! The admin server: `/metrics`, `/livez`, `/readyz`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::health::Health;
use crate::telemetry::Metrics;

/// How long open requests may take when the server stops: part of the 5 s that a shutdown has.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// Why the admin server can't be started.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address can't be bound, for instance because another process has it.
    #[error("the admin server can't listen on {addr}, set `admin.addr`: {error}")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the operating system said.
        error: io::Error,
    },
    /// The metrics can't be made.
    #[error("no metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// The admin server of a process. It runs until it is stopped or its tokio runtime ends.
#[derive(Debug)]
pub struct Admin {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<io::Result<()>>,
}

impl Admin {
    /// Binds `addr` and serves on this tokio runtime. Port 0 takes a free one.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn start(addr: SocketAddr, health: Arc<Health>) -> Result<Admin, AdminError> {
        let metrics = Metrics::install()?;
        let failed = |error| AdminError::Bind { addr, error };
        let listener = TcpListener::bind(addr).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        info!(%addr, "admin server listens");

        let pages = Router::new()
            .route("/metrics", get(move || async { metrics_page(metrics) }))
            .route("/livez", get(livez))
            .route("/readyz", get(readyz))
            .with_state(health);
        let (stop, stopped) = oneshot::channel::<()>();
        let stopping = async {
            // An owner that is gone without a stop ends it as well.
            let _ = stopped.await;
        };
        let served = tokio::spawn(axum::serve(listener, pages).with_graceful_shutdown(stopping).into_future());
        Ok(Admin { addr, stop, served })
    }

    /// The address that is bound.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Takes no more requests, and waits up to 1 s for those that are open.
    pub async fn stop(mut self) {
        // It fails where the server has ended by itself.
        let _ = self.stop.send(());
        match tokio::time::timeout(STOP_TIMEOUT, &mut self.served).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => warn!(%error, "admin server failed"),
            Ok(Err(error)) => warn!(%error, "admin server broke off"),
            Err(_) => self.served.abort(),
        }
    }
}

async fn livez(State(health): State<Arc<Health>>) -> Response {
    health_page(&health.alive())
}

async fn readyz(State(health): State<Arc<Health>>) -> Response {
    health_page(&health.ready())
}

fn health_page(reasons: &[String]) -> Response {
    if reasons.is_empty() {
        (StatusCode::OK, "ok\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n").into_response()
    }
}

fn metrics_page(metrics: &Metrics) -> Response {
    match metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            error!(%error, "metrics can't be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpStream};

    use super::*;

    async fn fetch(addr: SocketAddr, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: thalweg\r\nConnection: close\r\n\r\n");
        let exchange = move || {
            let mut stream = TcpStream::connect(addr).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        tokio::task::spawn_blocking(exchange).await.unwrap()
    }

    fn any_port() -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
    }

    #[tokio::test]
    async fn health_and_metrics_are_served() {
        let (health, lanes) = Health::new(1, Duration::from_secs(30));
        let admin = Admin::start(any_port(), health).await.unwrap();
        let addr = admin.addr();

        let live = fetch(addr, "/livez").await;
        assert!(live.starts_with("HTTP/1.1 200") && live.ends_with("\r\n\r\nok\n"), "{live}");
        let waiting = fetch(addr, "/readyz").await;
        assert!(waiting.starts_with("HTTP/1.1 503"), "{waiting}");
        assert!(waiting.ends_with("\r\n\r\nlane 0: has not joined its group\n"), "{waiting}");
        lanes[0].joined();
        assert!(fetch(addr, "/readyz").await.starts_with("HTTP/1.1 200"));
        lanes[0].failed("INBOX_REPLACED");
        assert!(fetch(addr, "/livez").await.starts_with("HTTP/1.1 503"));

        let metrics = fetch(addr, "/metrics").await;
        assert!(metrics.contains("content-type: text/plain; version=0.0.4"), "{metrics}");
        assert!(metrics.contains("# TYPE thalweg_transactions_total counter"), "{metrics}");
        assert!(fetch(addr, "/nothing").await.starts_with("HTTP/1.1 404"));

        admin.stop().await;
        assert!(TcpStream::connect(addr).is_err());
    }

    #[tokio::test]
    async fn a_stop_does_not_wait_for_an_idle_client() {
        let (health, _lanes) = Health::new(0, Duration::from_secs(30));
        let admin = Admin::start(any_port(), health).await.unwrap();
        let _idle = TcpStream::connect(admin.addr()).unwrap();
        tokio::time::timeout(2 * STOP_TIMEOUT, admin.stop()).await.unwrap();
    }

    #[tokio::test]
    async fn an_address_in_use_is_an_error_that_names_it() {
        let (health, _lanes) = Health::new(0, Duration::from_secs(30));
        let admin = Admin::start(any_port(), Arc::clone(&health)).await.unwrap();
        let error = Admin::start(admin.addr(), health).await.unwrap_err().to_string();
        assert!(error.contains(&admin.addr().to_string()), "{error}");
    }
}
