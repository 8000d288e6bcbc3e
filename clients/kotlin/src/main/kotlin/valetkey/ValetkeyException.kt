package valetkey

/** What a program does about an error. */
public enum class Advice {
    /**
     * Nobody knows whether it arrived: the same request with the same idempotency key, and nothing is made twice. An upload has no key: look
     * at [Valetkey.files] first.
     */
    REPEAT,

    /** It was refused, and may pass later, after [ValetkeyException.retryAfterSecs]. */
    WAIT,

    /** Somebody must sign in, choose other input, or decide to pay again. */
    ASK_USER,

    /** The program or the settings are wrong. */
    GIVE_UP,
}

/** `error.code` of an answer, why a prediction failed, or what this client met itself. [wire] is how the API spells it. */
public enum class Code(public val wire: String, public val advice: Advice) {
    // Of an answer.
    INVALID_JSON("invalid_json", Advice.GIVE_UP),
    INVALID_PARAMETER("invalid_parameter", Advice.ASK_USER),
    UNSUPPORTED_PARAMETER("unsupported_parameter", Advice.GIVE_UP),
    INVALID_IDEMPOTENCY_KEY("invalid_idempotency_key", Advice.GIVE_UP),
    MISSING_TOKEN("missing_token", Advice.ASK_USER),
    INVALID_TOKEN("invalid_token", Advice.ASK_USER),
    INSUFFICIENT_CREDITS("insufficient_credits", Advice.ASK_USER),
    INSUFFICIENT_PERMISSIONS("insufficient_permissions", Advice.GIVE_UP),
    MODEL_NOT_ALLOWED("model_not_allowed", Advice.GIVE_UP),
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

    /** Of an answer, or why a prediction failed. */
    UPSTREAM_REJECTED("upstream_rejected", Advice.ASK_USER),
    UPSTREAM_ERROR("upstream_error", Advice.REPEAT),
    MISCONFIGURED("misconfigured", Advice.GIVE_UP),
    LIMITER_UNAVAILABLE("limiter_unavailable", Advice.WAIT),
    UPSTREAM_UNAVAILABLE("upstream_unavailable", Advice.WAIT),
    UPSTREAM_TIMEOUT("upstream_timeout", Advice.REPEAT),

    // Why a prediction failed.
    OUTCOME_UNKNOWN("outcome_unknown", Advice.ASK_USER),
    QUEUE_TIMEOUT("queue_timeout", Advice.ASK_USER),
    UPSTREAM_FAILED("upstream_failed", Advice.ASK_USER),
    UPSTREAM_LOST("upstream_lost", Advice.ASK_USER),
    TIMED_OUT("timed_out", Advice.ASK_USER),

    // What this client met itself.

    /** No answer. */
    NETWORK("network", Advice.REPEAT),

    /** No answer in time. */
    TIMEOUT("timeout", Advice.REPEAT),

    /** An answer that is not Valetkey's: a proxy, a captive portal. */
    UNREADABLE_ANSWER("unreadable_answer", Advice.REPEAT),

    /** The token provider failed; `cause` has the reason. */
    NO_TOKEN("no_token", Advice.ASK_USER),

    /** The prediction that was waited for was canceled. */
    CANCELED("canceled", Advice.GIVE_UP),

    /** Of a newer API than this client's. [ValetkeyException.message] says more. */
    UNKNOWN("", Advice.GIVE_UP);

    internal companion object {
        fun of(wire: String): Code = entries.find { it.wire == wire } ?: UNKNOWN
    }
}

/** Every failure of this client, but `InterruptedException` and the `IllegalArgumentException` of a wrong argument. */
public class ValetkeyException @JvmOverloads constructor(
    public val code: Code,
    message: String,
    /** The HTTP status, where there was an answer. */
    public val status: Int? = null,
    /** What a user can quote to the operator. */
    public val requestId: String? = null,
    /** `Retry-After`, in seconds. */
    public val retryAfterSecs: Long? = null,
    /** The parameter that is wrong, such as `input.prompt`. */
    public val param: String? = null,
    /** The prediction that it is about: it exists, although something failed. */
    public val jobId: String? = null,
    /** Repeat the create with this key, and nothing is made twice. */
    public val idempotencyKey: String? = null,
    /** The prediction that did not succeed. */
    public val prediction: Prediction? = null,
    cause: Throwable? = null,
) : Exception(message, cause) {
    /** What to do about it: what the code says, unless the [prediction] has failed, which is all that the same key would give. */
    public val advice: Advice get() = if (code.advice == Advice.REPEAT && prediction != null) Advice.ASK_USER else code.advice

    /** The same with what the call knows beside it. A copy: threads that waited for one token have one error between them. */
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

/** The API sends seconds. Whatever else stands between may send a date, which is as good as nothing. */
private val SECONDS = Regex("[0-9]{1,9}")

/** Reads an answer that is no success. [body] is what it carried, parsed, or null. */
internal fun errorOf(head: HttpHead, body: Any?): ValetkeyException {
    val error = (body as? Map<*, *>)?.get("error") as? Map<*, *>
    val details = error?.get("details") as? Map<*, *>
    val wire = text(error, "code")
    return ValetkeyException(
        code = when {
            wire != null -> Code.of(wire)
            // The JVM keeps the words of a 401 to itself when the body was streamed.
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

/** A prediction that ended without success, as the failure of [Valetkey.run]. */
internal fun failureOf(prediction: Prediction): ValetkeyException = ValetkeyException(
    code = prediction.error?.code ?: Code.CANCELED,
    message = prediction.error?.message ?: "The prediction was canceled.",
    jobId = prediction.jobId,
    prediction = prediction,
)

private fun text(members: Map<*, *>?, name: String): String? = (members?.get(name) as? String)?.takeIf { it.isNotEmpty() }
