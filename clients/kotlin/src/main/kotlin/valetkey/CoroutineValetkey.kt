// The only file that needs kotlinx-coroutines. Leave it out of an app that has none.
package valetkey

import java.io.File
import kotlinx.coroutines.asCoroutineDispatcher
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.firstOrNull
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.flowOn
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.runInterruptible

/** The client's own threads. On those of `Dispatchers.IO`, many calls could leave no thread to a token provider. */
private val IO = THREADS.asCoroutineDispatcher()

/**
 * A client for coroutines, with the methods of [Valetkey]. Create one and share it.
 *
 * A canceled coroutine leaves its call at once. That only stops the waiting: the prediction continues and is billed. Call
 * [cancel] to stop the prediction. Callbacks run in the caller's context, such as the main thread.
 */
public class CoroutineValetkey(
    /** The client that makes the calls, for code that blocks. It shares the token. */
    public val blocking: Valetkey,
) {
    /**
     * @param baseUrl the address of the deployment without a path, such as `https://valetkey.example.workers.dev`
     * @param tokenProvider returns a token, as [TokenProvider.token] does
     */
    public constructor(
        baseUrl: String,
        options: Options = Options(),
        tokenProvider: suspend (forceRefresh: Boolean) -> String,
    ) : this(Valetkey(baseUrl, options) { forceRefresh -> runBlocking { tokenProvider(forceRefresh) } })

    /** Creates a prediction and waits until it ends. Throws if it failed or was canceled. See [Valetkey.create]. */
    public suspend fun run(
        model: String,
        input: Map<String, Any?>,
        idempotencyKey: String = Valetkey.newIdempotencyKey(),
        onUpdate: (Prediction) -> Unit = {},
    ): Prediction {
        val created = create(model, input, idempotencyKey)
        onUpdate(created)
        val ended = if (created.hasEnded) created else keyed(idempotencyKey, created.jobId) { wait(created.jobId, onUpdate) }
        if (ended.status != PredictionStatus.SUCCEEDED) throw failureOf(ended)
        return ended
    }

    /** Creates a prediction and returns it, queued or processing. See [Valetkey.create]. */
    public suspend fun create(
        model: String,
        input: Map<String, Any?>,
        idempotencyKey: String = Valetkey.newIdempotencyKey(),
        imageCount: Int? = null,
    ): Prediction = io { create(model, input, idempotencyKey, imageCount) }

    /** Returns the most that a prediction would cost, in credits, without creating it. */
    public suspend fun estimate(model: String, input: Map<String, Any?>, imageCount: Int? = null): String = io { estimate(model, input, imageCount) }

    /** Returns the prediction as it is now. */
    public suspend fun get(jobId: String): Prediction = io { get(jobId) }

    /** Returns a page of the user's predictions, newest first. See [Valetkey.list]. */
    public suspend fun list(limit: Int? = null, cursor: String? = null, status: PredictionStatus? = null): Page<Prediction> = io { list(limit, cursor, status) }

    /** Waits until the prediction ends and returns it, whether it succeeded, failed or was canceled. */
    public suspend fun wait(jobId: String, onUpdate: (Prediction) -> Unit = {}): Prediction = events(jobId).onEach { onUpdate(it) }.firstOrNull { it.hasEnded }
        ?: throw ValetkeyException(Code.UNREADABLE_ANSWER, "The events ended before the prediction did.", jobId = jobId)

    /**
     * Emits the prediction's current state, then each change until it ends. Resumes lost connections. Sends nothing
     * before it is collected, and follows the prediction anew for each collector.
     */
    public fun events(jobId: String): Flow<Prediction> = flow {
        blocking.events(jobId).use { events -> while (true) emit(runInterruptible { events.next() } ?: break) }
    }.flowOn(IO)

    /** Requests cancellation and returns without waiting for it. See [Valetkey.cancel]. */
    public suspend fun cancel(jobId: String): Prediction = io { cancel(jobId) }

    /** Deletes a prediction that has ended. See [Valetkey.delete]. */
    public suspend fun delete(jobId: String): Unit = io { delete(jobId) }

    /** Uploads a file. [onProgress] gets the bytes that were sent and the file's size. See [Valetkey.upload]. */
    public suspend fun upload(file: File, contentType: String, onProgress: (sent: Long, total: Long) -> Unit = { _, _ -> }): StoredFile = coroutineScope {
        // Keeps the latest figures only, so that a slow callback does not slow the upload down.
        val progress = Channel<Pair<Long, Long>>(Channel.CONFLATED)
        launch { for ((sent, total) in progress) onProgress(sent, total) }
        try {
            io { upload(file, contentType) { sent, total -> progress.trySend(sent to total) } }
        } finally {
            progress.close()
        }
    }

    /** Returns a page of the user's files, newest first. See [Valetkey.list]. */
    public suspend fun files(limit: Int? = null, cursor: String? = null): Page<StoredFile> = io { files(limit, cursor) }

    /** Returns what is known about a file. */
    public suspend fun file(fileId: String): StoredFile = io { file(fileId) }

    /** Deletes a file. A missing file is not an error. */
    public suspend fun deleteFile(fileId: String): Unit = io { deleteFile(fileId) }

    /** Returns the models of the user's plan, with their prices and input rules. */
    public suspend fun models(): List<Model> = io { models() }

    /** Returns one model, with its price and input rules. */
    public suspend fun model(model: String): Model = io { model(model) }

    /** Returns the user's plan and usage. */
    public suspend fun account(): Account = io { account() }

    private suspend fun <T> io(call: Valetkey.() -> T): T = runInterruptible(IO) { blocking.call() }
}
