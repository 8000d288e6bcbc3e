package valetkey

/** `queued` → `processing` → `succeeded`, `failed` or `canceled`. */
public enum class PredictionStatus(internal val wire: String, internal val isEnd: Boolean) {
    QUEUED("queued", false),
    PROCESSING("processing", false),
    SUCCEEDED("succeeded", true),
    FAILED("failed", true),
    CANCELED("canceled", true),

    /** A status that this client does not know, from a newer API. */
    UNKNOWN("", false),
}

/** The position of a queued prediction, from 1, and its estimated wait. */
public data class Queue(public val position: Int, public val etaSeconds: Int)

/** Why a prediction failed. */
public data class PredictionError(public val code: Code, public val message: String)

/** A prediction at one point in time. */
public data class Prediction(
    public val jobId: String,
    public val status: PredictionStatus,
    /** `owner/model`. */
    public val model: String,
    /** ISO 8601, UTC. */
    public val createdAt: String,
    public val completedAt: String? = null,
    /** URLs of the results; empty until it succeeded. */
    public val output: List<String> = emptyList(),
    public val error: PredictionError? = null,
    /** The cost, as a decimal number; null while it is not known. */
    public val creditsUsed: String? = null,
    public val predictTimeSecs: Double? = null,
    /** Set only while it is queued. */
    public val queue: Queue? = null,
    /** True from a cancel until the vendor confirms it. */
    public val cancelRequested: Boolean = false,
) {
    public val hasEnded: Boolean get() = status.isEnd
}

internal fun predictionOf(value: Any?): Prediction {
    val members = Members(value)
    val error = members.optional("error")
    val queue = members.optional("queue")
    return Prediction(
        jobId = members.text("job_id"),
        status = members.text("status").let { wire -> PredictionStatus.entries.find { it.wire == wire } ?: PredictionStatus.UNKNOWN },
        model = members.text("model"),
        createdAt = members.text("created_at"),
        completedAt = members.optionalText("completed_at"),
        output = members.texts("output"),
        error = error?.run { PredictionError(Code.of(text("code")), text("message")) },
        creditsUsed = members.optionalText("credits_used"),
        predictTimeSecs = members.optional("metrics")?.optionalNumber("predict_time")?.toDouble(),
        queue = queue?.run { Queue(number("position").toInt(), number("eta_seconds").toInt()) },
        cancelRequested = members.flag("cancel_requested"),
    )
}
