//! The steps of every request, in the order of contract 1. The first step that fails makes the response.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;

use serde_json::json;
use worker::{Context, Env};

use crate::cloudflare::http::authentication;
use crate::cloudflare::http::context::{AuthenticatedCaller, RequestContext};
use crate::cloudflare::http::lost;
use crate::cloudflare::http::outcome::{Handled, Reply, RouteError, RouteResult};
use crate::cloudflare::http::refusals;
use crate::cloudflare::http::response::{self, Response};
use crate::cloudflare::http::routes::{admin, assets, create, events, files, reads, token_endpoint, vendor_stream};
use crate::cloudflare::objects::client::{ask_dispatcher, hand_over_alerts};
use crate::cloudflare::objects::namespaces::ignores_jurisdiction;
use crate::cloudflare::runtime::alerts;
use crate::cloudflare::runtime::deployment::{Deployment, deployment};
use crate::cloudflare::runtime::log;
use crate::cloudflare::runtime::platform::{self, PlatformError};
use crate::config::{Config, LogLevel, Problem};
use crate::constants::{ACK_TIMEOUT_MILLIS, MISCONFIGURED_RETRY_SECS, OTHER_BODY_MAX_BYTES};
use crate::limit::webhook_limiter::WebhookLimiter;
use crate::messages::DispatcherRequest;
use crate::oauth;
use crate::token::Purpose;
use crate::types::ids::RequestId;
use crate::types::time::UnixMillis;
use crate::vendor::webhook;
use crate::wire::cors::{OriginCheck, Pages, check_origin};
use crate::wire::headers::{self, RequestHead, UrlParts, split_url};
use crate::wire::rejection::{Code, Rejection};
use crate::wire::route::{Feature, NoRoute, PublicRoute, Route, TokenRoute, UserRoute};

/// A request before any check.
struct Incoming<'a> {
    request: &'a web_sys::Request,
    env: &'a Env,
    execution: &'a Context,
    head: &'a RequestHead,
    url: UrlParts<'a>,
    now: UnixMillis,
    request_id: &'a RequestId,
}

/// A response of the platform, and the facts for its log line.
struct Written {
    response: web_sys::Response,
    refused: Option<(&'static str, &'static str)>,
    subject: Option<String>,
}

/// Responds to a request and writes its log line. Fails only if no response can be made at all.
pub async fn handle(
    request: web_sys::Request,
    env: Env,
    execution: Context,
) -> Result<web_sys::Response, PlatformError> {
    let now = platform::now();
    let request_id = RequestId::new(now, platform::random());
    let head = platform::request_head(&request);
    let url = split_url(&head.url).ok_or(PlatformError)?;
    let route = Route::parse(&head.method, url.path);
    let route_name = route.as_ref().map_or("none", Route::name);
    let incoming = Incoming {
        request: &request,
        env: &env,
        execution: &execution,
        head: &head,
        url,
        now,
        request_id: &request_id,
    };
    let written = answer(&incoming, route).await?;
    refusals::note(&env, &execution, written.refused.map(|(code, _)| code), now);
    alerts::take_over_from_javascript();
    if let Some(handing_over) = hand_over_alerts(&env) {
        execution.wait_until(handing_over);
    }
    if deployment(&env).is_ok_and(|deployment| deployment.config.log_level < LogLevel::Info) {
        return Ok(written.response);
    }
    log::request(&log::RequestLine {
        started: now,
        request_id: &request_id,
        client_request_id: head.request_id.as_deref().and_then(headers::parse_client_request_id),
        route: route_name,
        status: written.response.status(),
        refused: written.refused,
        subject: written.subject.as_deref(),
    });
    Ok(written.response)
}

/// Runs the steps that all routes share, then [`dispatch`]:
///
/// 1. Parse the configuration: 503.
/// 2. Find the route and its method: 404, 405.
/// 3. Check the origin: 403.
/// 4. Respond to a preflight: 204.
async fn answer(incoming: &Incoming<'_>, route: Result<Route, NoRoute>) -> Result<Written, PlatformError> {
    // 1
    let deployment = match deployment_for(incoming) {
        Ok(deployment) => deployment,
        // No CORS headers: with wrong settings, the allowed origins are not known.
        Err(problems) => return write(incoming, misconfigured(&route, &problems), OriginCheck::None, None),
    };
    let config = &deployment.config;
    // 2 to 4
    let origin = check_request_origin(incoming, config);
    let route = match check_route(incoming, route, config, origin) {
        ControlFlow::Continue(route) => route,
        ControlFlow::Break(handled) => return write(incoming, handled, origin, Some(&deployment)),
    };
    let context = RequestContext {
        env: incoming.env,
        execution: incoming.execution,
        deployment: &deployment,
        request: incoming.request,
        head: incoming.head,
        url: incoming.url,
        now: incoming.now,
        base_url: config.public_url.as_deref().unwrap_or(incoming.url.origin),
        request_id: incoming.request_id,
        origin,
    };
    let handled = dispatch(&context, &route).await?;
    write(incoming, handled, origin, Some(&deployment))
}

fn write(
    incoming: &Incoming<'_>,
    handled: Handled,
    origin: OriginCheck<'_>,
    deployment: Option<&Deployment>,
) -> Result<Written, PlatformError> {
    let Handled { reply, refused, subject } = handled;
    let response = match reply {
        Reply::Open(response) => response,
        Reply::Complete(response) => {
            let is_head = incoming.head.method == "HEAD";
            response::write(&response, incoming.request_id, origin, deployment, is_head)?
        }
    };
    Ok(Written { response, refused, subject })
}

/// Returns the deployment, unless its settings are wrong in themselves or for the host that was called.
fn deployment_for(incoming: &Incoming<'_>) -> Result<Rc<Deployment>, Rc<Vec<Problem>>> {
    let deployment = deployment(incoming.env)?;
    let (config, host) = (&deployment.config, incoming.url.host);
    config.check_host(host).map_err(Rc::new)?;
    if ignores_jurisdiction(incoming.env) {
        config.check_ignored_jurisdiction(host).map_err(Rc::new)?;
    }
    Ok(deployment)
}

/// Returns the response of a deployment with wrong settings: 503, but the health checks still work. `/readyz` names the
/// settings.
fn misconfigured(route: &Result<Route, NoRoute>, problems: &[Problem]) -> Handled {
    let probe = match route {
        Ok(Route::Public(route)) => probe(route, Some(problems)),
        _ => None,
    };
    match probe {
        Some(response) => Handled::complete(response),
        None => {
            let rejection = Rejection::new(Code::Misconfigured, "configuration").retry_after(MISCONFIGURED_RETRY_SECS);
            Handled::refused(rejection.into())
        }
    }
}

fn check_request_origin<'a>(incoming: &Incoming<'a>, config: &Config) -> OriginCheck<'a> {
    let is_admin = matches!(Feature::of_path(incoming.url.path), Some(Feature::Admin));
    let pages = if is_admin { Pages::None } else { Pages::Listed(&config.allowed_origins) };
    let origin = incoming.head.origin.as_deref();
    let is_local = config.local_hosts.include_name(incoming.url.host);
    match check_origin(origin, pages, config.public_url.as_deref(), incoming.url.origin, is_local) {
        // Only the Worker's own page may call the operator's API. It has the same origin, so it needs no CORS headers.
        OriginCheck::Allowed(_) if is_admin => OriginCheck::None,
        check => check,
    }
}

/// Runs steps 2 to 4. `Break` holds the response of the step that ends the request.
fn check_route(
    incoming: &Incoming<'_>,
    route: Result<Route, NoRoute>,
    config: &Config,
    origin: OriginCheck<'_>,
) -> ControlFlow<Handled, Route> {
    let refuse = |rejection: Rejection| ControlFlow::Break(Handled::refused(rejection.into()));
    let is_off = match Feature::of_path(incoming.url.path) {
        Some(Feature::Demo) => config.demo.is_none(),
        Some(Feature::OwnTokens) => config.signing_keys.is_none(),
        Some(Feature::Admin) => !config.issuers.iter().any(|issuer| issuer.is_accepted_for(Purpose::Admin)),
        None => false,
    };
    match (route, origin) {
        // 2
        (Err(NoRoute::NotFound), _) => refuse(Rejection::new(Code::NotFound, "route")),
        _ if is_off => refuse(Rejection::new(Code::NotFound, "route")),
        (Err(NoRoute::Method(allow)), _) => {
            refuse(Rejection { allow: Some(allow), ..Rejection::new(Code::MethodNotAllowed, "method") })
        }
        // 3
        (_, OriginCheck::Refused) => refuse(Rejection::new(Code::OriginNotAllowed, "origin")),
        // 4
        (Err(NoRoute::Options(allow)), _) => {
            let preflight = Response { allow: Some(allow), is_preflight: true, ..Response::empty(204) };
            ControlFlow::Break(Handled::complete(preflight))
        }
        (Ok(route), _) => ControlFlow::Continue(route),
    }
}

/// Calls the handler of the route.
async fn dispatch(context: &RequestContext<'_>, route: &Route) -> Result<Handled, PlatformError> {
    match route {
        Route::Public(_) => {}
        Route::TokenEndpoint(_) => lost::in_token_endpoint(context),
        Route::Admin(_) | Route::User(_) => lost::before_effects(context),
    }
    Ok(match route {
        Route::Public(route) => return public(context, route).await,
        Route::TokenEndpoint(TokenRoute::Issue) => token_endpoint::issue(context).await,
        Route::TokenEndpoint(TokenRoute::Revoke) => token_endpoint::revoke(context).await,
        Route::Admin(route) => admin::handle(context, route).await,
        Route::User(route) => user(context, route).await,
    })
}

/// Handles a route that needs no token.
async fn public(context: &RequestContext<'_>, route: &PublicRoute) -> Result<Handled, PlatformError> {
    let open = |response| Handled { reply: Reply::Open(response), refused: None, subject: None };
    let response = match route {
        PublicRoute::Demo(asset) => return assets::demo(context, asset).await.map(open),
        PublicRoute::AdminPage(asset) => return assets::admin_page(context, asset).await.map(open),
        PublicRoute::OpenApi => return assets::document(context, "/openapi.json").await.map(open),
        PublicRoute::Hook(capability) => webhook_called(context, capability).await,
        PublicRoute::DemoSettings => Some(Response::json(200, &context.deployment.config.demo_document())),
        PublicRoute::Health | PublicRoute::Ready => probe(route, None),
        PublicRoute::KeySet | PublicRoute::ServerMetadata => published(route, context.deployment),
    };
    let not_found = || Handled::refused(Rejection::new(Code::NotFound, "capability").into());
    Ok(response.map_or_else(not_found, Handled::complete))
}

thread_local! {
    static WEBHOOK_LIMITER: RefCell<WebhookLimiter> = const { RefCell::new(WebhookLimiter::NEW) };
}

/// Handles the vendor's webhook. A valid capability brings the prediction's next poll forward. An invalid one, or one of
/// a prediction that must have ended long ago, gets 404, and no object is called. Nor is one called beyond the rate
/// limit, whose response is the same 204. The body is never read.
async fn webhook_called(context: &RequestContext<'_>, capability: &str) -> Option<Response> {
    let config = &context.deployment.config;
    let keys = std::iter::once(&config.vendor_key).chain(&config.vendor_key_next);
    let job_id = webhook::check_capability(capability, keys)?;
    if context.now.millis_since(job_id.created_at()) > config.policy.longest_life_millis() {
        return None;
    }
    if WEBHOOK_LIMITER.with_borrow_mut(|limiter| limiter.admit(&job_id, context.now)) {
        // A failure does no harm: the Dispatcher then polls at the time that was due anyway.
        let _ = ask_dispatcher(context.env, &DispatcherRequest::Webhook { job_id }, ACK_TIMEOUT_MILLIS).await;
    }
    Some(Response::empty(204))
}

/// Returns the public keys of Valetkey's own tokens, or the metadata of the token endpoint (RFC 8414).
fn published(route: &PublicRoute, deployment: &Deployment) -> Option<Response> {
    let config = &deployment.config;
    let (keys, public_url) = (config.signing_keys.as_ref()?, config.public_url.as_ref()?);
    let document = match route {
        PublicRoute::KeySet => keys.public_key_set().clone(),
        _ => oauth::server_metadata(public_url),
    };
    Some(Response { cache_control: response::PUBLIC_CACHE, ..Response::json(200, &document) })
}

fn probe(route: &PublicRoute, problems: Option<&[Problem]>) -> Option<Response> {
    let (status, body) = match (route, problems) {
        (PublicRoute::Ready, Some(problems)) => (503, json!({"status": "misconfigured", "errors": problems})),
        (PublicRoute::Ready, None) => (200, json!({"status": "ready"})),
        (PublicRoute::Health, _) => (200, json!({"status": "ok"})),
        _ => return None,
    };
    Some(Response::json(status, &body))
}

/// Handles a route that needs a user's token:
///
/// 5. Authenticate the caller: 401, 503.
/// 6. Check the token's scope: 403.
/// 7. Run the route's own steps.
async fn user(context: &RequestContext<'_>, route: &UserRoute) -> Handled {
    // 5
    let caller = match authentication::authenticate(context).await {
        Ok(caller) => caller,
        Err(rejection) => {
            authentication::count_bad_token(&rejection, context.now);
            return Handled::refused(rejection.into());
        }
    };
    // 6
    let result = if caller.grant.has_scope(route.scope()) {
        // 7
        user_route(context, &caller, route).await
    } else {
        Err(caller.reject(Code::InsufficientPermissions, "scope").into())
    };
    let handled = match result {
        Ok(reply) => Handled { reply, refused: None, subject: None },
        Err(error) => Handled::refused(error),
    };
    handled.of(caller.grant.user.log_pseudonym())
}

async fn user_route(context: &RequestContext<'_>, caller: &AuthenticatedCaller, route: &UserRoute) -> RouteResult {
    match route {
        UserRoute::Events(job_id) => events::open(context, caller, job_id).await,
        UserRoute::Stream(job_id) => vendor_stream::open(context, caller, job_id).await,
        UserRoute::Create(model) => create::create(context, caller, model).await,
        UserRoute::CreateBatch => create::create_batch(context, caller).await,
        UserRoute::Estimate => create::estimate(context, caller).await,
        UserRoute::Get(job_id) => reads::get(context, caller, job_id).await,
        UserRoute::Batch(batch_id) => reads::batch(context, caller, batch_id).await,
        UserRoute::List => reads::list(context, caller).await,
        UserRoute::Cancel(job_id) => {
            discard_body(context).await?;
            reads::cancel(context, caller, job_id).await
        }
        UserRoute::Delete(job_id) => reads::delete(context, caller, job_id).await,
        UserRoute::Upload => files::upload(context, caller).await,
        UserRoute::Files => files::list(context, caller).await,
        UserRoute::File(file_id) => files::get(context, caller, file_id).await,
        UserRoute::DeleteFile(file_id) => files::delete(context, caller, file_id).await,
        UserRoute::Models => reads::models(context, caller).await,
        UserRoute::Model(model) => reads::model(context, caller, model).await,
        UserRoute::Account(view) => reads::account(context, caller, *view).await,
    }
}

/// Reads and discards the body of a route that uses none. Its size is limited all the same (contract 1).
async fn discard_body(context: &RequestContext<'_>) -> Result<(), RouteError> {
    match platform::read_body(context.request, OTHER_BODY_MAX_BYTES).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(Rejection::new(Code::BodyTooLarge, "body").into()),
        Err(PlatformError) => Err(Rejection::new(Code::InvalidJson, "body_unreadable").into()),
    }
}
