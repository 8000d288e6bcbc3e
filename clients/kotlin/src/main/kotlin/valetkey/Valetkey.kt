package valetkey

import java.io.File
import java.security.SecureRandom

/** Time-out of a create. The Worker waits up to 45 s for the vendor before it responds. */
private const val CREATE_TIMEOUT_MS = 55_000L

/** Time-out of an upload: 90 MB over a slow connection. */
private const val UPLOAD_TIMEOUT_MS = 900_000L
private const val MAX_UPLOAD_BYTES = 90_000_000L
private const val KEY_BYTES = 16

/** Settings that rarely need to differ from their defaults. */
public class Options @JvmOverloads constructor(
    /** The maximum number of attempts per request, including the first. */
    public val maxTries: Int = 4,
    /**
     * The longest `Retry-After`, in seconds, that the client waits for. It throws a longer one. Per-minute limits send
     * at most 65.
     */
    public val longestWaitSecs: Long = 70,
    /** Provides the Firebase App Check token, if the deployment requires one. Called for each request. */
    public val appCheck: TokenProvider? = null,
)

/**
 * A client of Valetkey. It keeps the token in memory, so create one and share it: every method may be called from any
 * thread.
 *
 * Methods block, so call them off the main thread. An interrupt stops the waiting at once; the prediction continues.
 * Call [cancel] to stop the prediction. Methods throw [ValetkeyException], `InterruptedException`, and
 * `IllegalArgumentException` for arguments that cannot be sent.
 */
public class Valetkey(
    /** The address of the deployment, such as `https://valetkey.example.workers.dev`. */
    baseUrl: String,
    options: Options,
    tokenProvider: TokenProvider,
) {
    private val transport = Transport(baseUrl, options, tokenProvider)

    public constructor(baseUrl: String, tokenProvider: TokenProvider) : this(baseUrl, Options(), tokenProvider)

    /**
     * Creates a prediction and waits until it ends. Throws if it failed or was canceled. [create] describes the
     * arguments.
     */
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
     * Creates a prediction and returns it, queued or processing.
     *
     * @param model `owner/model`
     * @param input the model's input, which has to meet the model's rules
     * @param idempotencyKey makes it safe to repeat the create: for 24 hours, the same key returns the same prediction.
     *   If the app may be killed during the call, store the key before the call.
     * @param imageCount the number of images, by which the price is multiplied
     */
    @JvmOverloads
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun create(
        model: String,
        input: Map<String, Any?>,
        idempotencyKey: String = newIdempotencyKey(),
        imageCount: Int? = null,
    ): Prediction {
        require(KEY.matches(idempotencyKey)) { "an idempotency key must be 1 to 255 printable ASCII characters" }
        val body = if (imageCount == null) mapOf("input" to input) else mapOf("input" to input, "image_count" to imageCount)
        val headers = mapOf("Content-Type" to "application/json", "Idempotency-Key" to idempotencyKey)
        val call = Call("POST", "/v1/${modelPath(model)}/predictions", headers, Body.Text(writeJson(body)), CREATE_TIMEOUT_MS)
        return keyed(idempotencyKey) {
            try {
                explained { predictionOf(transport.call(call)) }
            } catch (error: ValetkeyException) {
                // A 502 or 504 names the prediction: it exists and may still be running. If it failed, the original
                // error says more than the prediction.
                val jobId = error.jobId ?: throw error
                val left = keyed(idempotencyKey, jobId) { get(jobId) }
                if (left.status == PredictionStatus.FAILED) throw error.with(prediction = left)
                left
            }
        }
    }

    /** Returns the prediction as it is now. */
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun get(jobId: String): Prediction = explained { predictionOf(transport.call(Call("GET", predictionPath(jobId)))) }

    /** Waits until the prediction ends and returns it, whether it succeeded, failed or was canceled. */
    @JvmOverloads
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun wait(jobId: String, onUpdate: (Prediction) -> Unit = {}): Prediction {
        events(jobId).use { events ->
            while (true) {
                val prediction = events.next() ?: throw ValetkeyException(Code.UNREADABLE_ANSWER, "The events ended before the prediction did.", jobId = jobId)
                onUpdate(prediction)
                if (prediction.hasEnded) return prediction
            }
        }
    }

    /**
     * Returns the prediction's current state, then each change until it ends. Resumes lost connections. Sends nothing
     * before the first `next`.
     */
    public fun events(jobId: String): PredictionEvents = PredictionEvents(transport, predictionPath(jobId))

    /**
     * Requests cancellation and returns at once. `cancelRequested` is true until the vendor confirms. A prediction that
     * has ended stays as it is.
     */
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun cancel(jobId: String): Prediction =
        explained { predictionOf(transport.call(Call("POST", "${predictionPath(jobId)}/cancel"))) }

    /**
     * Uploads a file of at most 90,000,000 bytes, streamed from disk. An upload has no idempotency key, so the client
     * does not repeat it if the connection is lost midway. Check [files] before you repeat it, whatever the error's
     * advice.
     *
     * @param contentType image/png, jpeg, webp or gif, video/mp4 or webm, audio/wav
     */
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun upload(file: File, contentType: String): StoredFile {
        require(MEDIA_TYPE.matches(contentType)) { "not a media type: $contentType" }
        require(file.canRead() && file.length() in 1..MAX_UPLOAD_BYTES) { "not a readable file of 1 to $MAX_UPLOAD_BYTES bytes" }
        val headers = mapOf("Content-Type" to contentType)
        val call = Call("POST", "/v1/files", headers, Body.FromFile(file), UPLOAD_TIMEOUT_MS, isRepeatable = false)
        return explained { storedFileOf(transport.call(call)) }
    }

    /** Returns the user's own files, newest first, at most 25. */
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun files(): List<StoredFile> = explained { storedFilesOf(transport.call(Call("GET", "/v1/files"))) }

    /**
     * Deletes a file. A missing file is not an error: after a lost response, this client or (silently) the JVM sends
     * the request again, and then the file is already deleted.
     */
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun deleteFile(fileId: String) {
        require(FILE_ID.matches(fileId)) { "not a file ID" }
        try {
            transport.call(Call("DELETE", "/v1/files/$fileId"))
        } catch (error: ValetkeyException) {
            if (error.code != Code.NOT_FOUND) throw error
        }
    }

    /** Returns the user's plan and usage. */
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun account(): Account = explained { accountOf(transport.call(Call("GET", "/v1/account"))) }

    public companion object {
        private val random = SecureRandom()

        /** Returns 128 random bits, in hex. */
        @JvmStatic
        public fun newIdempotencyKey(): String {
            val bytes = ByteArray(KEY_BYTES).also(random::nextBytes)
            return bytes.joinToString("") { (it.toInt() and 0xff).toString(16).padStart(2, '0') }
        }
    }
}

/**
 * Adds the key to each error of [work]: the caller needs it to repeat safely, even if the create succeeded and a later
 * step failed.
 */
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

/** Matches a path segment of dots only, which would lead to another route. */
private val DOTS = Regex("(^|/)\\.+(/|$)")

private fun predictionPath(jobId: String): String {
    require(JOB_ID.matches(jobId)) { "not a prediction ID" }
    return "/v1/predictions/$jobId"
}

private fun modelPath(model: String): String {
    require(MODEL.matches(model) && !DOTS.containsMatchIn(model)) { "a model must have the form \"owner/model\"" }
    return model
}
