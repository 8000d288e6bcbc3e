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

/** A file that the user uploaded. [fileId] is the value of an input whose rule has `"format":"file"`. */
public data class StoredFile(
    public val fileId: String,
    public val contentType: String,
    public val bytes: Long,
    public val createdAt: String,
)

/** The limits of the user's plan and how much of them is used. Credits are decimal numbers. */
public data class Account(
    public val plan: String,
    public val creditsBalance: String,
    public val creditsSpent: String,
    public val creditsReserved: String,
    public val dailyCredits: String,
    public val predictions: Int,
    public val running: Int,
    public val waiting: Int,
)

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

internal fun storedFileOf(value: Any?): StoredFile = Members(value).run {
    StoredFile(text("file_id"), text("content_type"), number("bytes").toLong(), text("created_at"))
}

internal fun storedFilesOf(value: Any?): List<StoredFile> = Members(value).list("data").map(::storedFileOf)

internal fun accountOf(value: Any?): Account {
    val members = Members(value)
    val usage = members.required("usage")
    return Account(
        plan = members.text("plan"),
        creditsBalance = members.text("credits_balance"),
        creditsSpent = usage.text("credits_spent"),
        creditsReserved = usage.text("credits_reserved"),
        dailyCredits = members.required("limits").text("daily_credits"),
        predictions = usage.number("predictions").toInt(),
        running = usage.number("running").toInt(),
        waiting = usage.number("waiting").toInt(),
    )
}

/** A response without a member that every response of its kind has. */
internal class ShapeException(name: String) : Exception("no $name in the response")

/** The members of a parsed JSON object. Unknown ones are ignored. */
private class Members(value: Any?) {
    private val members = value as? Map<*, *> ?: throw ShapeException("object")

    fun text(name: String): String = optionalText(name) ?: throw ShapeException(name)
    fun optionalText(name: String): String? = members[name] as? String
    fun list(name: String): List<Any?> = members[name] as? List<*> ?: throw ShapeException(name)
    fun texts(name: String): List<String> = list(name).filterIsInstance<String>()
    fun number(name: String): Number = optionalNumber(name) ?: throw ShapeException(name)
    fun optionalNumber(name: String): Number? = members[name] as? Number
    fun flag(name: String): Boolean = members[name] == true
    fun required(name: String): Members = optional(name) ?: throw ShapeException(name)
    fun optional(name: String): Members? = members[name]?.let(::Members)
}
