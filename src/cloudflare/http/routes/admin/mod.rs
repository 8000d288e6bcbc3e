//! The operator's API.

mod audit;
mod client;
mod operator;
mod pauses;
mod revocations;
mod spend;
mod state;
mod users;

use self::operator::Operator;
use crate::cloudflare::http::authentication;
use crate::cloudflare::http::context::RequestContext;
use crate::cloudflare::http::outcome::Handled;
use crate::cloudflare::http::response::Response;
use crate::wire::rejection::Rejection;
use crate::wire::route::AdminRoute;

/// Handles a route of the operator's API:
///
/// 1. Verify the operator's token: 401, 503.
/// 2. Check where a write comes from, if Cloudflare Access vouches for it: 403. Then the operator's right: 403. Before
///    any object is called, because anybody may have a token of an issuer of operators.
/// 3. Ask the operator's Ledger: 401 if the token is revoked, 429 for the requests of the minute, 503. Then ask the
///    Dispatcher: 401 if the token is revoked, 503.
/// 4. Run the route: read and check the request (415, 413, 400), record a write in the audit log (503), act.
pub async fn handle(context: &RequestContext<'_>, route: &AdminRoute) -> Handled {
    // 1
    let operator = match Operator::verify(context).await {
        Ok(operator) => operator,
        Err(rejection) => {
            authentication::count_bad_token(&rejection, context.now);
            return Handled::refused(rejection.into());
        }
    };
    // 2 to 4
    let handled = match run(context, &operator, route).await {
        Ok(response) => Handled::complete(response),
        Err(rejection) => Handled::refused(rejection.into()),
    };
    handled.of(operator.log_pseudonym())
}

async fn run(context: &RequestContext<'_>, operator: &Operator, route: &AdminRoute) -> Result<Response, Rejection> {
    // 2
    operator.check_right(context, route.right())?;
    // 3
    operator.check_not_revoked(context).await?;
    // 4
    match route {
        AdminRoute::Audit => audit::list(context).await,
        AdminRoute::Pause => pauses::pause(context, operator).await,
        AdminRoute::Release(job_id) => state::release(context, operator, job_id).await,
        AdminRoute::Resume => pauses::resume(context, operator).await,
        AdminRoute::Spend => spend::list(context).await,
        AdminRoute::Refusals => spend::refusals(context).await,
        AdminRoute::LookUpUser => users::look_up(context).await,
        AdminRoute::ExportUser(user) => users::export(context, user).await,
        AdminRoute::SetLimits(user) => users::set_limits(context, operator, user).await,
        AdminRoute::RemoveLimits(user) => users::remove_limits(context, operator, user).await,
        AdminRoute::CancelUser(user) => users::cancel(context, operator, user).await,
        AdminRoute::DeleteUser(user) => users::delete(context, operator, user).await,
        AdminRoute::Revocations => revocations::revoke(context, operator).await,
        AdminRoute::State => state::show(context, operator).await,
    }
}
