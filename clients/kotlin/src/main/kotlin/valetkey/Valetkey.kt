package valetkey

import java.io.File
import java.security.SecureRandom
import kotlin.math.min

/** Time-out of a create. The Worker waits up to 45 s for the vendor before it responds. */
private const val CREATE_TIMEOUT_MS = 55_000L

/** Time-out of an upload: 90 MB over a slow connection. */
private const val UPLOAD_TIMEOUT_MS = 900_000L
private const val KEY_BYTES = 16

/** Settings that rarely need to differ from their defaults. Throws a [ValetkeyException] for one that cannot be used. */
public class Options @JvmOverloads @Throws(ValetkeyException::class) constructor(
    /** The maximum number of attempts per request, including the first. */
    public val maxTries: Int = 4,
    /**
     * The longest `Retry-After`, in seconds, that the client waits for. It throws a longer one. Per-minute limits send
     * at most 65.
     */
    public val longestWaitSecs: Long = 70,
    /** Provides the Firebase App Check token, if the deployment requires one. Called for each request. */
    public val appCheck: TokenProvider? = null,
    /**
     * Allows http to other machines, for a phone that uses `valetkey dev --lan`. Everyone on the network can read the token:
     * never set it in a release.
     */
    public val allowHttp: Boolean = false,
) {
    init {
        checkNumber("maxTries", maxTries.toLong(), 1)
        checkNumber("longestWaitSecs", longestWaitSecs, 0)
    }
}

/**
 * A client of Valetkey. It keeps the token in memory, so create one and share it: every method may be called from any
 * thread.
 *
 * Methods block, so call them off the main thread; [CoroutineValetkey] has the same methods for coroutines. An interrupt
 * stops the waiting at once; the prediction continues. Call [cancel] to stop the prediction. Methods throw
 * [ValetkeyException], also for an argument that cannot be sent, and `InterruptedException`.
 */
public class Valetkey @Throws(ValetkeyException::class) constructor(
    /** The address of the deployment without a path, such as `https://valetkey.example.workers.dev`. */
    baseUrl: String,
    options: Options,
    tokenProvider: TokenProvider,
) {
    private val transport = Transport(baseUrl, options, tokenProvider)

    @Throws(ValetkeyException::class)
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
     * @param input the model's input, which has to meet the model's rules. Its values are maps, lists, strings, numbers,
     *   booleans and null
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
        checkKey(idempotencyKey)
        val body = listOfNotNull("input" to input, imageCount?.let { "image_count" to it }).toMap()
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

    /** Returns the most that a prediction would cost, in credits, without creating it. [create] describes the arguments. */
    @JvmOverloads
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun estimate(model: String, input: Map<String, Any?>, imageCount: Int? = null): String {
        val body = listOfNotNull("model" to modelPath(model), "input" to input, imageCount?.let { "image_count" to it }).toMap()
        val call = Call("POST", "/v1/estimate", mapOf("Content-Type" to "application/json"), Body.Text(writeJson(body)))
        return explained { creditsOf(transport.call(call)) }
    }

    /** Returns the prediction as it is now. */
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun get(jobId: String): Prediction = explained { predictionOf(transport.call(Call("GET", predictionPath(jobId)))) }

    /**
     * Returns a page of the user's predictions, newest first.
     *
     * @param limit at most 100; by default 25
     * @param cursor the `nextCursor` of the page before
     * @param status only predictions with this status
     */
    @JvmOverloads
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun list(limit: Int? = null, cursor: String? = null, status: PredictionStatus? = null): Page<Prediction> {
        if (status == PredictionStatus.UNKNOWN) throw invalid("status", "a status of the API", "$status")
        val after = cursor?.let { checkedId("cursor", it) }
        val path = withQuery("/v1/predictions", "limit" to limit, "cursor" to after, "status" to status?.wire)
        return explained { pageOf(transport.call(Call("GET", path)), ::predictionOf) }
    }

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
    @Throws(ValetkeyException::class)
    public fun events(jobId: String): PredictionEvents = PredictionEvents(transport, predictionPath(jobId))

    /**
     * Requests cancellation and returns at once. `cancelRequested` is true until the vendor confirms. A prediction that
     * has ended stays as it is.
     */
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun cancel(jobId: String): Prediction =
        explained { predictionOf(transport.call(Call("POST", "${predictionPath(jobId)}/cancel"))) }

    /**
     * Deletes a prediction that has ended. A missing prediction is not an error, as in [deleteFile]. One that is running
     * throws `NOT_ENDED`: cancel it first.
     */
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun delete(jobId: String): Unit = delete(Call("DELETE", predictionPath(jobId)))

    /**
     * Uploads a file of at most 90,000,000 bytes, streamed from disk. An upload has no idempotency key, so the client
     * does not repeat it if the connection is lost midway. Check [files] before you repeat it, whatever the error's
     * advice.
     *
     * @param contentType image/png, jpeg, webp or gif, video/mp4 or webm, audio/wav
     * @param onProgress called with the bytes that were sent and the file's size, on the calling thread, and once more
     *   with the whole size at the end. If the API refuses the token, the file is sent again from its first byte
     */
    @JvmOverloads
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun upload(file: File, contentType: String, onProgress: (sent: Long, total: Long) -> Unit = { _, _ -> }): StoredFile {
        val headers = mapOf("Content-Type" to mediaType(contentType))
        checkFile(file)
        val total = file.length()
        val onSent = { sent: Long -> onProgress(min(sent, total), total) }
        val call = Call("POST", "/v1/files", headers, Body.FromFile(file), UPLOAD_TIMEOUT_MS, isRepeatable = false, onSent = onSent)
        val stored = explained { storedFileOf(transport.call(call)) }
        onProgress(total, total)
        return stored
    }

    /** Returns a page of the user's files, newest first. [list] describes the arguments. */
    @JvmOverloads
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun files(limit: Int? = null, cursor: String? = null): Page<StoredFile> {
        val path = withQuery("/v1/files", "limit" to limit, "cursor" to cursor?.let { checkedId("cursor", it) })
        return explained { pageOf(transport.call(Call("GET", path)), ::storedFileOf) }
    }

    /** Returns what is known about a file. */
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun file(fileId: String): StoredFile = explained { storedFileOf(transport.call(Call("GET", filePath(fileId)))) }

    /**
     * Deletes a file. A missing file is not an error: after a lost response, this client or (silently) the JVM sends
     * the request again, and then the file is already deleted.
     */
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun deleteFile(fileId: String): Unit = delete(Call("DELETE", filePath(fileId)))

    private fun delete(call: Call) {
        try {
            transport.call(call)
        } catch (error: ValetkeyException) {
            if (error.code != Code.NOT_FOUND) throw error
        }
    }

    /** Returns the models of the user's plan, with their prices and input rules. */
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun models(): List<Model> = explained { modelsOf(transport.call(Call("GET", "/v1/models"))) }

    /** Returns one model, with its price and input rules. */
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun model(model: String): Model = explained { modelOf(transport.call(Call("GET", "/v1/models/${modelPath(model)}"))) }

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
internal inline fun <T> keyed(idempotencyKey: String, jobId: String? = null, work: () -> T): T = try {
    work()
} catch (error: ValetkeyException) {
    throw error.with(idempotencyKey, jobId)
}
