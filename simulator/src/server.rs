//! Starts both ports on 127.0.0.1.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::accounts::AccountKey;
use crate::app::App;
use crate::config::Config;
use crate::connection;
use crate::gauge::Gauge;
use crate::settings::Settings;
use crate::world::World;
use crate::{control, main_port};

/// A running simulator. Dropping it stops accepting connections.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    control_address: SocketAddr,
    tasks: [JoinHandle<()>; 2],
}

impl Simulator {
    /// Returns `http://127.0.0.1:port` of the main port. The vendor's API is under `/v1`.
    pub fn url(&self) -> String {
        url(self.address)
    }

    /// Returns `http://127.0.0.1:port` of the control API.
    pub fn control_url(&self) -> String {
        url(self.control_address)
    }

    /// Returns the main port's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the control port's address.
    pub fn control_address(&self) -> SocketAddr {
        self.control_address
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Starts a simulator on the current Tokio runtime. Both ports are listening when it returns.
///
/// # Errors
/// A port is in use, or a key in `config` is malformed.
pub async fn start(config: Config) -> io::Result<Simulator> {
    let mut world = World::new(Settings::new(config.prediction_ms));
    for key in &config.keys {
        let grant = AccountKey::parse(key);
        world.accounts.add_key(grant.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a malformed key"))?);
    }
    let main = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port)).await?;
    let control = TcpListener::bind((Ipv4Addr::LOCALHOST, config.control_port)).await?;
    let (address, control_address) = (main.local_addr()?, control.local_addr()?);
    let app = App::new(world, url(address), config.session);
    let tasks = [
        tokio::spawn(connection::serve(main, main_port::router(Arc::clone(&app)), app.connections.clone())),
        tokio::spawn(connection::serve(control, control::router(app), Gauge::default())),
    ];
    Ok(Simulator { address, control_address, tasks })
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}
