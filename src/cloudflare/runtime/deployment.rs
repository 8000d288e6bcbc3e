//! The configuration, parsed once per isolate.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use worker::Env;

use crate::cloudflare::runtime::platform;
use crate::config::{self, Config, Problem};
use crate::token::TokenCache;
use crate::types::secret::VendorKey;
use crate::vendor::key_scan::KeyScan;

/// The settings, and the key scan that is built from them once.
pub struct Deployment {
    /// The settings.
    pub config: Config,
    /// The scan of responses for the vendor key.
    pub key_scan: KeyScan,
}

impl Deployment {
    /// Returns the vendor key with this fingerprint while a secret holds it, else the current one (protocol 6).
    pub fn key(&self, fingerprint: Option<&str>) -> &VendorKey {
        let current = &self.config.vendor_key;
        let next = self.config.vendor_key_next.as_ref();
        match (fingerprint, next) {
            (Some(wanted), Some(next)) if next.fingerprint() == wanted => next,
            _ => current,
        }
    }

    /// Returns the other one of the two vendor keys, if there are two: the vendor may still take it (protocol 6).
    pub fn other_key(&self, refused: &VendorKey) -> Option<&VendorKey> {
        let next = self.config.vendor_key_next.as_ref()?;
        Some(if refused == next { &self.config.vendor_key } else { next })
    }
}

thread_local! {
    static DEPLOYMENT: OnceCell<Result<Rc<Deployment>, Rc<Vec<Problem>>>> = const { OnceCell::new() };
    static TOKENS: RefCell<TokenCache> = RefCell::new(TokenCache::default());
}

/// Returns the deployment, or every problem of its settings.
pub fn deployment(env: &Env) -> Result<Rc<Deployment>, Rc<Vec<Problem>>> {
    DEPLOYMENT.with(|cell| cell.get_or_init(|| load(env)).clone())
}

fn load(env: &Env) -> Result<Rc<Deployment>, Rc<Vec<Problem>>> {
    let texts = platform::text_bindings(env);
    let config = config::parse(&|name| texts.get(name).cloned()).map_err(Rc::new)?;
    let keys = std::iter::once(&config.vendor_key).chain(config.vendor_key_next.as_ref());
    let key_scan = KeyScan::new(keys);
    Ok(Rc::new(Deployment { config, key_scan }))
}

/// Calls `use_cache` with this isolate's cache of verified tokens.
pub fn with_tokens<R>(use_cache: impl FnOnce(&mut TokenCache) -> R) -> R {
    TOKENS.with_borrow_mut(use_cache)
}
