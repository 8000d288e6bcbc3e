package valetkey

import java.io.File
import java.security.SecureRandom

/** The Worker waits up to 45 s for the vendor before it answers a create. */
private const val CREATE_TIMEOUT_MS = 55_000L

/** 90 MB on a slow line. */
private const val UPLOAD_TIMEOUT_MS = 900_000L
private const val MAX_UPLOAD_BYTES = 90_000_000L
private const val KEY_BYTES = 16

/** What rarely differs from the defaults. */
public class Options @JvmOverloads constructor(
    /** How often a request is sent at most. */
    public val maxTries: Int = 4,
    /** A `Retry-After` above this many seconds is not waited for but thrown. The limits of a minute say 65 at most. */
    public val longestWaitSecs: Long = 70,
    /** The token of Firebase App Check, where the deployment asks for one. It is asked for with each request. */
    public val appCheck: TokenProvider? = null,
)

/**
 * A client of Valetkey. It keeps the token in memory, so make one and share it: every method may be called from any thread.
 *
 * Methods block, so call them off the main thread. An interrupt ends the waiting at once, never the prediction: that is [cancel].
 * They throw [ValetkeyException], `InterruptedException`, and `IllegalArgumentException` for arguments that cannot be sent.
 */
public class Valetkey(
    /** Where Valetkey answers, such as `https://valetkey.example.workers.dev`. */
    baseUrl: String,
    options: Options,
    tokenProvider: TokenProvider,
) {
    private val transport = Transport(baseUrl, options, tokenProvider)

    public constructor(baseUrl: String, tokenProvider: TokenProvider) : this(baseUrl, Options(), tokenProvider)

    /** Makes a prediction and waits for its end. Throws if it failed or was canceled. [create] says what the arguments are. */
    @JvmOverloads
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun run(
        model: String,
        input: Map<String, Any?>,
        idempotencyKey: String = newIdempotencyKey(),
        onUpdate: (Prediction) -> Unit = {},
    ): Prediction {
        val created = create(model, input, idempotencyKey)
        onUpdate(created)
        val ended = if (created.hasEnded) created else keyed(idempotencyKey, created.jobId) { wait(created.jobId, onUpdate) }
        if (ended.status != PredictionStatus.SUCCEEDED) throw failureOf(ended)
        return ended
    }

    /**
     * Makes a prediction: queued or processing.
     *
     * @param model `owner/model`
     * @param input by the model's rules
     * @param idempotencyKey makes a repeated create free of risk: the same key, the same prediction, for 24 hours. Store it before the
     *   call where the app may be ended in the middle.
     * @param imageCount how many images; as many times the price
     */
    @JvmOverloads
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun create(
        model: String,
        input: Map<String, Any?>,
        idempotencyKey: String = newIdempotencyKey(),
        imageCount: Int? = null,
    ): Prediction {
        require(KEY.matches(idempotencyKey)) { "an idempotency key is 1 to 255 printable characters" }
        val body = if (imageCount == null) mapOf("input" to input) else mapOf("input" to input, "image_count" to imageCount)
        val headers = mapOf("Content-Type" to "application/json", "Idempotency-Key" to idempotencyKey)
        val call = Call("POST", "/v1/${modelPath(model)}/predictions", headers, Body.Text(writeJson(body)), CREATE_TIMEOUT_MS)
        return keyed(idempotencyKey) {
            try {
                explained { predictionOf(transport.call(call)) }
            } catch (error: ValetkeyException) {
                // 502 and 504 name the prediction: it exists, and may go on. If it failed, the refusal says more.
                val jobId = error.jobId ?: throw error
                val left = keyed(idempotencyKey, jobId) { get(jobId) }
                if (left.status == PredictionStatus.FAILED) throw error.with(prediction = left)
                left
            }
        }
    }

    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun get(jobId: String): Prediction = explained { predictionOf(transport.call(Call("GET", predictionPath(jobId)))) }

    /** The prediction when it has ended, however it ended. */
    @JvmOverloads
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun wait(jobId: String, onUpdate: (Prediction) -> Unit = {}): Prediction {
        events(jobId).use { events ->
            while (true) {
                val prediction = events.next() ?: throw ValetkeyException(Code.UNREADABLE_ANSWER, "The events ended too early.", jobId = jobId)
                onUpdate(prediction)
                if (prediction.hasEnded) return prediction
            }
        }
    }

    /** The present state, then each change until the end. Lost connections are resumed. Nothing is sent before the first `next`. */
    public fun events(jobId: String): PredictionEvents = PredictionEvents(transport, predictionPath(jobId))

    /** Asks for the end and answers at once; `cancelRequested` until the vendor confirmed. An ended one is unchanged. */
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun cancel(jobId: String): Prediction =
        explained { predictionOf(transport.call(Call("POST", "${predictionPath(jobId)}/cancel"))) }

    /**
     * Uploads at most 90,000,000 bytes, read while they are sent. An upload has no idempotency key: when the connection is lost in the
     * middle it is not repeated by itself. Look at [files] before you repeat it, whatever the error's advice.
     *
     * @param contentType image/png, jpeg, webp or gif, video/mp4 or webm, audio/wav
     */
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun upload(file: File, contentType: String): StoredFile {
        require(MEDIA_TYPE.matches(contentType)) { "no media type: $contentType" }
        require(file.canRead() && file.length() in 1..MAX_UPLOAD_BYTES) { "not a readable file of 1 to $MAX_UPLOAD_BYTES bytes" }
        val headers = mapOf("Content-Type" to contentType)
        val call = Call("POST", "/v1/files", headers, Body.FromFile(file), UPLOAD_TIMEOUT_MS, isRepeatable = false)
        return explained { storedFileOf(transport.call(call)) }
    }

    /** The user's own files, newest first, at most 25. */
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun files(): List<StoredFile> = explained { storedFilesOf(transport.call(Call("GET", "/v1/files"))) }

    /**
     * Forgets a file. One that is not there is no error: where an answer is lost the request is sent again, by this client or, without a
     * word, by the JVM, and then there is none any more.
     */
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun deleteFile(fileId: String) {
        require(FILE_ID.matches(fileId)) { "not the id of a file" }
        try {
            transport.call(Call("DELETE", "/v1/files/$fileId"))
        } catch (error: ValetkeyException) {
            if (error.code != Code.NOT_FOUND) throw error
        }
    }

    /** The user's plan and use. */
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun account(): Account = explained { accountOf(transport.call(Call("GET", "/v1/account"))) }

    public companion object {
        private val random = SecureRandom()

        /** 128 random bits. */
        @JvmStatic
        public fun newIdempotencyKey(): String {
            val bytes = ByteArray(KEY_BYTES).also(random::nextBytes)
            return bytes.joinToString("") { (it.toInt() and 0xff).toString(16).padStart(2, '0') }
        }
    }
}

/** Whoever repeats what failed needs its key, also when the create was answered and what came after it failed. */
private inline fun <T> keyed(idempotencyKey: String, jobId: String? = null, work: () -> T): T = try {
    work()
} catch (error: ValetkeyException) {
    throw error.with(idempotencyKey, jobId)
}

private val KEY = Regex("[\\x20-\\x7e]{1,255}")
private val MEDIA_TYPE = Regex("[a-z]+/[a-z0-9.+-]+")
private val FILE_ID = Regex("[A-Za-z0-9_]{1,64}")
private val JOB_ID = Regex("[A-Za-z0-9_]{1,64}")
private val MODEL = Regex("[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")

/** A name of dots would lead to another route. */
private val DOTS = Regex("(^|/)\\.+(/|$)")

private fun predictionPath(jobId: String): String {
    require(JOB_ID.matches(jobId)) { "not the id of a prediction" }
    return "/v1/predictions/$jobId"
}

private fun modelPath(model: String): String {
    require(MODEL.matches(model) && !DOTS.containsMatchIn(model)) { "a model is \"owner/model\"" }
    return model
}
