//! A request's way through the checks, in the order of contract 1.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde_json::json;
use worker::{Context, Env};

use crate::cloudflare::http::authentication;
use crate::cloudflare::http::context::Call;
use crate::cloudflare::http::response::{self, Reply, Response};
use crate::cloudflare::http::routes::{admin, assets, create, events, files, reads, token_endpoint, vendor_stream};
use crate::cloudflare::objects::client::ask_dispatcher;
use crate::cloudflare::runtime::deployment::{Deployment, deployment};
use crate::cloudflare::runtime::log;
use crate::cloudflare::runtime::platform::{self, PlatformError};
use crate::config::{LogLevel, Problem};
use crate::constants::{ACK_TIMEOUT_MILLIS, MISCONFIGURED_RETRY_SECS, OTHER_BODY_MAX_BYTES};
use crate::messages::DispatcherRequest;
use crate::oauth::{self, OAuthRefusal};
use crate::parse::url::is_loopback_host;
use crate::types::ids::RequestId;
use crate::types::time::UnixMillis;
use crate::vendor::webhook;
use crate::wire::cors::{OriginCheck, check_origin};
use crate::wire::headers::{self, RequestHead, split_url};
use crate::wire::rejection::{Challenge, Code, Rejection};
use crate::wire::route::{AdminRoute, Feature, NoRoute, PublicRoute, Route, TokenRoute, UserRoute};

/// What is learned on the way, for the log.
#[derive(Default)]
struct Trace {
    route: Option<&'static str>,
    subject: Option<String>,
    refused: Option<(&'static str, &'static str)>,
}

/// Answers a request and writes its log line. Fails only where no response can be made at all.
pub async fn handle(request: web_sys::Request, env: Env, context: Context) -> Result<web_sys::Response, PlatformError> {
    let now = platform::now();
    let request_id = RequestId::new(now, platform::random());
    let head = platform::request_head(&request);
    let mut trace = Trace::default();
    let response = answer(&request, &env, &context, &head, now, &request_id, &mut trace).await?;
    if deployment(&env).is_ok_and(|deployment| deployment.config.log_level < LogLevel::Info) {
        return Ok(response);
    }
    log::request(&log::RequestLine {
        started: now,
        request_id: &request_id,
        client_request_id: head.request_id.as_deref().and_then(headers::parse_client_request_id),
        route: trace.route.unwrap_or("none"),
        status: response.status(),
        refused: trace.refused,
        subject: trace.subject.as_deref(),
    });
    Ok(response)
}

/// Steps 1 to 4: 1 configuration 503 · 2 route and method 404, 405 · 3 origin 403 · 4 preflight 204.
async fn answer(
    request: &web_sys::Request,
    env: &Env,
    context: &Context,
    head: &RequestHead,
    now: UnixMillis,
    request_id: &RequestId,
    trace: &mut Trace,
) -> Result<web_sys::Response, PlatformError> {
    let url = split_url(&head.url).ok_or(PlatformError)?;
    let is_head = head.method == "HEAD";
    let route = Route::parse(&head.method, url.path);
    trace.route = route.as_ref().ok().map(Route::name);
    let deployment = deployment(env).and_then(|deployment| match deployment.config.check_host(url.host) {
        Ok(()) => Ok(deployment),
        Err(problems) => Err(Rc::new(problems)),
    });
    // 1
    let deployment = match deployment {
        Ok(deployment) => deployment,
        Err(problems) => {
            let misconfigured = Rejection::new(Code::Misconfigured, "configuration");
            let answer = match &route {
                Ok(Route::Public(route)) => probe(route, Some(&problems)),
                _ => None,
            };
            let answer = match answer {
                // Whatever the origin: which ones may ask is not known.
                Some(answer) => answer,
                None => refuse(misconfigured.retry_after(MISCONFIGURED_RETRY_SECS), request_id, trace),
            };
            return response::write(&answer, request_id, OriginCheck::None, None, is_head);
        }
    };
    let config = &deployment.config;
    let public_origin = config.public_url.as_deref();
    let origin = head.origin.as_deref();
    let is_loopback = is_loopback_host(url.host);
    let is_admin = matches!(Feature::of_path(url.path), Some(Feature::Admin));
    let pages = if is_admin { &[][..] } else { &config.allowed_origins[..] };
    let origin = match check_origin(origin, pages, public_origin, url.origin, is_loopback) {
        // Its own page alone calls the operator's API, and needs no CORS for it.
        OriginCheck::Allowed(_) if is_admin => OriginCheck::None,
        other => other,
    };
    let write = |answer: &Response| response::write(answer, request_id, origin, Some(&deployment), is_head);
    // 2
    let is_off = match Feature::of_path(url.path) {
        Some(Feature::Demo) => !config.demo,
        Some(Feature::OwnTokens) => config.signing_keys.is_none(),
        Some(Feature::Admin) | None => false,
    };
    let route = if is_off { Err(NoRoute::NotFound) } else { route };
    let route = match (route, origin) {
        (Err(NoRoute::NotFound), _) => {
            return write(&refuse(Rejection::new(Code::NotFound, "route"), request_id, trace));
        }
        (Err(NoRoute::Method(allow)), _) => {
            let rejection = Rejection { allow: Some(allow), ..Rejection::new(Code::MethodNotAllowed, "method") };
            return write(&refuse(rejection, request_id, trace));
        }
        // 3
        (_, OriginCheck::Refused) => {
            return write(&refuse(Rejection::new(Code::OriginNotAllowed, "origin"), request_id, trace));
        }
        // 4
        (Err(NoRoute::Options(allow)), _) => {
            return write(&Response { allow: Some(allow), is_preflight: true, ..Response::empty(204) });
        }
        (Ok(route), _) => route,
    };
    let base = public_origin.unwrap_or(url.origin);
    let challenge = if public_origin.is_some() { Challenge::BearerOrProof } else { Challenge::Bearer };
    let call = Call {
        env,
        context,
        deployment: &deployment,
        request,
        head,
        url,
        now,
        base,
        request_id,
        origin,
        rate: Cell::new(None),
        proof: RefCell::new(None),
        challenge: Cell::new(challenge),
        subject: RefCell::new(None),
    };
    let answer = match &route {
        Route::Public(route) => match route {
            PublicRoute::Demo(asset) => return assets::serve(env, &deployment, asset, request_id).await,
            PublicRoute::OpenApi => return assets::document(env, "/openapi.json", request_id, origin).await,
            PublicRoute::Hook(capability) => called_back(env, &deployment, capability, request_id, trace).await,
            PublicRoute::Health | PublicRoute::Ready | PublicRoute::KeySet | PublicRoute::ServerMetadata => {
                probe(route, None)
                    .or_else(|| published(route, &deployment))
                    .unwrap_or_else(|| refuse(Rejection::new(Code::NotFound, "route"), request_id, trace))
            }
        },
        Route::TokenEndpoint(route) => {
            let answer = match route {
                TokenRoute::Issue => token_endpoint::token(&call).await,
                TokenRoute::Revoke => token_endpoint::revoke(&call).await,
            };
            trace.subject = call.subject.take();
            answer.unwrap_or_else(|refused| refuse_token(&refused, trace))
        }
        Route::Admin(AdminRoute::Revocations) => {
            let answer = admin::revoke(&call).await;
            trace.subject = call.subject.take();
            answer.unwrap_or_else(|rejection| refuse(rejection, request_id, trace))
        }
        Route::User(route) => match authorized(&call, route, trace).await {
            Ok(Reply::Complete(answer)) => Response { rate: call.rate.get(), ..answer },
            Ok(Reply::Open(response)) => return Ok(response),
            Err(rejection) => Response { rate: call.rate.get(), ..refuse(rejection, request_id, trace) },
        },
    };
    write(&answer)
}

/// The vendor's webhook: a good capability brings a poll forward, whatever stands in the body; any other is not found,
/// and no object hears of it.
async fn called_back(
    env: &Env,
    deployment: &Deployment,
    capability: &str,
    request_id: &RequestId,
    trace: &mut Trace,
) -> Response {
    let config = &deployment.config;
    let keys = std::iter::once(&config.vendor_key).chain(&config.vendor_key_next);
    let Some(job_id) = webhook::check_capability(capability, keys) else {
        return refuse(Rejection::new(Code::NotFound, "capability"), request_id, trace);
    };
    // Only a hint: the poll plan goes on without it.
    let _ = ask_dispatcher(env, &DispatcherRequest::Webhook { job_id }, ACK_TIMEOUT_MILLIS).await;
    Response::empty(204)
}

/// What anybody may read: our public keys, and where the endpoints are.
fn published(route: &PublicRoute, deployment: &Deployment) -> Option<Response> {
    let config = &deployment.config;
    let (keys, public_url) = (config.signing_keys.as_ref()?, config.public_url.as_ref()?);
    let document = match route {
        PublicRoute::KeySet => keys.public_key_set().clone(),
        PublicRoute::ServerMetadata => oauth::server_metadata(public_url),
        _ => return None,
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

fn refuse(rejection: Rejection, request_id: &RequestId, trace: &mut Trace) -> Response {
    trace.refused = Some((rejection.code.wire().code, rejection.reason));
    Response::rejection(&rejection, request_id)
}

fn refuse_token(refused: &OAuthRefusal, trace: &mut Trace) -> Response {
    let wire = refused.error.wire();
    trace.refused = Some((wire.error, refused.reason));
    Response { retry_after_secs: refused.retry_after_secs, ..Response::json_text(wire.status, refused.body()) }
}

/// Steps 5 and 6, and on to the route's own: 5 token 401 · 6 scope 403.
async fn authorized(call: &Call<'_>, route: &UserRoute, trace: &mut Trace) -> Result<Reply, Rejection> {
    // 5
    let grant = authentication::verify_token(call).await?;
    trace.subject = Some(grant.user.log_pseudonym().to_owned());
    // 6
    if !grant.has_scope(route.scope()) {
        return Err(call.unauthorized(Code::InsufficientPermissions, "scope"));
    }
    let answer = match route {
        UserRoute::Events(job_id) => return events::open(call, &grant, job_id).await,
        UserRoute::Stream(job_id) => return vendor_stream::open(call, &grant, job_id).await,
        UserRoute::Create(model) => create::create(call, &grant, model).await,
        UserRoute::CreateBatch => create::create_batch(call, &grant).await,
        UserRoute::Estimate => create::estimate(call, &grant).await,
        UserRoute::Get(job_id) => reads::get(call, &grant, job_id).await,
        UserRoute::Batch(batch_id) => reads::batch(call, &grant, batch_id).await,
        UserRoute::List => reads::list(call, &grant).await,
        UserRoute::Cancel(job_id) => {
            discard_body(call).await?;
            reads::cancel(call, &grant, job_id).await
        }
        UserRoute::Delete(job_id) => reads::delete(call, &grant, job_id).await,
        UserRoute::Upload => files::upload(call, &grant).await,
        UserRoute::Files => files::list(call, &grant).await,
        UserRoute::File(file_id) => files::get(call, &grant, file_id).await,
        UserRoute::DeleteFile(file_id) => files::delete(call, &grant, file_id).await,
        UserRoute::Models => reads::models(call, &grant).await,
        UserRoute::Model(model) => reads::model(call, &grant, model).await,
        UserRoute::Account(view) => reads::account(call, &grant, *view).await,
    };
    answer.map(Reply::Complete)
}

/// A body that a route does not use is bounded all the same (contract 1).
async fn discard_body(call: &Call<'_>) -> Result<(), Rejection> {
    match platform::read_body(call.request, OTHER_BODY_MAX_BYTES).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(Rejection::new(Code::BodyTooLarge, "body")),
        Err(PlatformError) => Err(Rejection::new(Code::InvalidJson, "body_unreadable")),
    }
}
