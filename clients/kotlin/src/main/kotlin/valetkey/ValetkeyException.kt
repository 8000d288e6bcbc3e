package valetkey

/** What the program should do about an error. */
public enum class Advice {
    /**
     * The request may have arrived. Send it again with the same idempotency key: nothing is made twice. An upload has
     * no key, so check [Valetkey.files] first.
     */
    REPEAT,

    /** The request was refused. It may succeed later, after [ValetkeyException.retryAfterSecs]. */
    WAIT,

    /** The user has to sign in, choose another input, or decide whether to pay again. */
    ASK_USER,

    /** The program or the settings are wrong. */
    GIVE_UP,
}

/**
 * The `error.code` of a response, the reason why a prediction failed, or a failure in this client. [wire] is the API's
 * spelling.
 */
public enum class Code(public val wire: String, public val advice: Advice) {
    // Codes of responses.
    INVALID_JSON("invalid_json", Advice.GIVE_UP),
    INVALID_PARAMETER("invalid_parameter", Advice.ASK_USER),
    UNSUPPORTED_PARAMETER("unsupported_parameter", Advice.GIVE_UP),
    INVALID_IDEMPOTENCY_KEY("invalid_idempotency_key", Advice.GIVE_UP),
    MISSING_TOKEN("missing_token", Advice.ASK_USER),
    INVALID_TOKEN("invalid_token", Advice.ASK_USER),
    INSUFFICIENT_CREDITS("insufficient_credits", Advice.ASK_USER),
    INSUFFICIENT_PERMISSIONS("insufficient_permissions", Advice.GIVE_UP),
    MODEL_NOT_ALLOWED("model_not_allowed", Advice.GIVE_UP),
    FILE_LIMIT_REACHED("file_limit_reached", Advice.ASK_USER),
    ORIGIN_NOT_ALLOWED("origin_not_allowed", Advice.GIVE_UP),
    NOT_FOUND("not_found", Advice.GIVE_UP),
    METHOD_NOT_ALLOWED("method_not_allowed", Advice.GIVE_UP),
    NOT_ENDED("not_ended", Advice.GIVE_UP),
    IDEMPOTENCY_IN_PROGRESS("idempotency_in_progress", Advice.REPEAT),
    BODY_TOO_LARGE("body_too_large", Advice.ASK_USER),
    UNSUPPORTED_MEDIA_TYPE("unsupported_media_type", Advice.ASK_USER),
    IDEMPOTENCY_MISMATCH("idempotency_mismatch", Advice.GIVE_UP),
    RATE_LIMITED("rate_limited", Advice.WAIT),
    TOO_MANY_PREDICTIONS("too_many_predictions", Advice.WAIT),
    QUEUE_FULL("queue_full", Advice.WAIT),

    /** The code of a response, or the reason why a prediction failed. */
    UPSTREAM_REJECTED("upstream_rejected", Advice.ASK_USER),
    UPSTREAM_ERROR("upstream_error", Advice.REPEAT),
    MISCONFIGURED("misconfigured", Advice.GIVE_UP),
    LIMITER_UNAVAILABLE("limiter_unavailable", Advice.WAIT),
    UPSTREAM_UNAVAILABLE("upstream_unavailable", Advice.WAIT),
    UPSTREAM_TIMEOUT("upstream_timeout", Advice.REPEAT),

    // Reasons why a prediction failed.
    OUTCOME_UNKNOWN("outcome_unknown", Advice.ASK_USER),
    QUEUE_TIMEOUT("queue_timeout", Advice.ASK_USER),
    UPSTREAM_FAILED("upstream_failed", Advice.ASK_USER),
    UPSTREAM_LOST("upstream_lost", Advice.ASK_USER),
    TIMED_OUT("timed_out", Advice.ASK_USER),

    // Failures in this client.

    /** No response. */
    NETWORK("network", Advice.REPEAT),

    /** No response in time. */
    TIMEOUT("timeout", Advice.REPEAT),

    /** A response that is not from Valetkey, such as that of a proxy or a captive portal. */
    UNREADABLE_ANSWER("unreadable_answer", Advice.REPEAT),

    /** The token provider or [Options.appCheck] failed; `cause` has the reason. */
    NO_TOKEN("no_token", Advice.ASK_USER),

    /** The prediction that [Valetkey.run] waited for was canceled. */
    CANCELED("canceled", Advice.GIVE_UP),

    /** A code that this client does not know, from a newer API. [ValetkeyException.message] says more. */
    UNKNOWN("", Advice.GIVE_UP);

    internal companion object {
        fun of(wire: String): Code = entries.find { it.wire == wire } ?: UNKNOWN
    }
}

/** Any failure of a call, except `InterruptedException`. */
public class ValetkeyException @JvmOverloads constructor(
    public val code: Code,
    message: String,
    /** The HTTP status, if there was a response. */
    public val status: Int? = null,
    /** The request's ID, which the user can quote to the operator. */
    public val requestId: String? = null,
    /** `Retry-After`, in seconds. */
    public val retryAfterSecs: Long? = null,
    /** The invalid parameter, such as `input.prompt`. */
    public val param: String? = null,
    /** The ID of the prediction that the error is about. It exists, although the request failed. */
    public val jobId: String? = null,
    /** The key of the create. Repeat the create with it, and nothing is made twice. */
    public val idempotencyKey: String? = null,
    /** The prediction that did not succeed. */
    public val prediction: Prediction? = null,
    cause: Throwable? = null,
) : Exception(message, cause) {
    /**
     * What to do: the code's advice, but never [Advice.REPEAT] if there is a failed [prediction]. The same key would
     * only return that one again.
     */
    public val advice: Advice get() = if (code.advice == Advice.REPEAT && prediction != null) Advice.ASK_USER else code.advice

    /**
     * Returns a copy with what the call knows in addition. Threads that waited for the same token share one error, so
     * it is not changed.
     */
    internal fun with(
        idempotencyKey: String? = this.idempotencyKey,
        jobId: String? = null,
        prediction: Prediction? = this.prediction,
    ): ValetkeyException {
        val known = this.jobId ?: jobId
        val copy = ValetkeyException(code, message.orEmpty(), status, requestId, retryAfterSecs, param, known, idempotencyKey, prediction, cause)
        copy.stackTrace = stackTrace
        return copy
    }
}

/** `Retry-After` in seconds, as the API sends it. A proxy may send a date, which the client ignores. */
private val SECONDS = Regex("[0-9]{1,9}")

/** Returns the error in an unsuccessful response. [body] is its parsed body, or null. */
internal fun errorOf(head: HttpHead, body: Any?): ValetkeyException {
    val error = (body as? Map<*, *>)?.get("error") as? Map<*, *>
    val details = error?.get("details") as? Map<*, *>
    val wire = text(error, "code")
    return ValetkeyException(
        code = when {
            wire != null -> Code.of(wire)
            // The JVM discards the body of a 401 if the request's body was streamed.
            head.status == UNAUTHORIZED -> Code.INVALID_TOKEN
            else -> Code.UNREADABLE_ANSWER
        },
        message = text(error, "message") ?: "HTTP ${head.status}",
        status = head.status,
        requestId = text(error, "request_id") ?: head.header("X-Request-Id"),
        retryAfterSecs = head.header("Retry-After")?.takeIf(SECONDS::matches)?.toLong(),
        param = text(details, "param"),
        jobId = text(details, "job_id"),
    )
}

/** Returns the error that [Valetkey.run] throws for a prediction that ended without success. */
internal fun failureOf(prediction: Prediction): ValetkeyException = ValetkeyException(
    code = prediction.error?.code ?: Code.CANCELED,
    message = prediction.error?.message ?: "The prediction was canceled.",
    jobId = prediction.jobId,
    prediction = prediction,
)

private fun text(members: Map<*, *>?, name: String): String? = (members?.get(name) as? String)?.takeIf { it.isNotEmpty() }
