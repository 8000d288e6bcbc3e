package valetkey

import java.io.Closeable
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import kotlin.math.min
import kotlin.math.pow
import kotlin.random.Random

/** The API sends a comment every 15 s. A stream that misses two of them is dead. */
private const val SILENCE_MS = 35_000L

/**
 * How long failures may last before [PredictionEvents.next] throws: enough for an elevator, a tunnel or a change of
 * networks. Time that the device slept does not count.
 */
private const val PATIENCE_MS = 180_000L
private const val FIRST_LOOK_MS = 1_000.0
private const val LOOK_GROWTH = 1.3
private const val MAX_LOOK_MS = 5_000.0
private const val TOO_MANY = 429

/**
 * The states of a prediction: the current one, then each change until it ends. Reads the event stream, or polls where
 * no stream is available. Resumes a lost connection where it left off, with a new token if needed.
 *
 * One thread reads; any thread may [close]. Closing does not cancel the prediction.
 */
public class PredictionEvents internal constructor(
    private val transport: Transport,
    private val path: String,
    private val patienceMs: Long = PATIENCE_MS,
) : Closeable {
    private class Stream(val answer: OpenAnswer) {
        val parser = SseParser()
        val waiting = ArrayDeque<ServerEvent>()
    }

    private val closed = CountDownLatch(1)

    @Volatile
    private var exchange: Closeable? = null
    private var stream: Stream? = null
    private var lastId: String? = null
    private var last: Prediction? = null
    private var canStream = true
    private var patience = Deadline(patienceMs)
    private var rounds = 0
    private var failures = 0

    /**
     * Waits for the next state and returns it; returns null after the last one and after [close]. An interrupt ends the
     * wait.
     *
     * @throws ValetkeyException when the API refuses, or when attempts kept failing for three minutes.
     */
    @Throws(ValetkeyException::class, InterruptedException::class)
    public fun next(): Prediction? {
        // Time that the caller spent since the last call does not count as a failure of the API.
        failures = 0
        while (last?.hasEnded != true && !isClosed) {
            try {
                val prediction = if (canStream) streamed() else looked()
                if (prediction == null || prediction == last) continue
                last = prediction
                if (prediction.hasEnded) close()
                return prediction
            } catch (error: ValetkeyException) {
                if (!isClosed) recover(error)
            }
        }
        return null
    }

    /** Stops reading. A [next] that waits for the API on another thread returns null. */
    override fun close() {
        closed.countDown()
        exchange?.close()
    }

    private val isClosed: Boolean get() = closed.count == 0L

    /** Returns the stream's next state, or null at its end: after five minutes, or when the token expires. */
    private fun streamed(): Prediction? {
        val stream = stream ?: open().also { stream = it }
        while (true) {
            val event = stream.waiting.removeFirstOrNull()
            if (event == null) {
                val piece = stream.answer.read(Deadline(SILENCE_MS))
                if (piece == null) {
                    letGo()
                    pause(lookMs())
                    rounds += 1
                    return null
                }
                val comments = stream.parser.comments
                stream.waiting.addAll(explained { stream.parser.push(piece) })
                if (stream.parser.comments > comments) failures = 0
            } else if (event.type == "status") {
                val prediction = explained { predictionOf(parseJson(event.data)) }
                // Only after parsing: an event that cannot be parsed is no sign of life, and is requested again.
                failures = 0
                lastId = event.id
                return prediction
            }
        }
    }

    private fun open(): Stream {
        val resumed = lastId?.takeIf { it.isNotEmpty() }?.let { mapOf("Last-Event-ID" to it) }.orEmpty()
        val headers = mapOf("Accept" to "text/event-stream") + resumed
        val call = Call("GET", "$path/events", headers, silenceMs = SILENCE_MS)
        val answer = transport.open(call, Deadline(DEFAULT_TIMEOUT_MS), ::watch)
        if (answer.head.header("Content-Type")?.startsWith("text/event-stream") == true) return Stream(answer)
        answer.close()
        throw ValetkeyException(Code.UNREADABLE_ANSWER, "The response is not an event stream.", answer.head.status)
    }

    private fun looked(): Prediction {
        if (rounds > 0) pause(lookMs())
        rounds += 1
        return explained { predictionOf(transport.once(Call("GET", path), ::watch)) }.also { failures = 0 }
    }

    private fun lookMs(): Long = min(MAX_LOOK_MS, FIRST_LOOK_MS * LOOK_GROWTH.pow(rounds)).toLong()

    private fun recover(error: ValetkeyException) {
        letGo()
        if (failures == 0) patience = Deadline(patienceMs)
        if (!transport.mayRepeat(error, isRepeatable = true) || patience.leftMs <= 0) throw error
        failures += 1
        // 429: four streams are open already. Time-out: something on the way buffers streams. Poll instead.
        if (error.status == TOO_MANY || error.code == Code.TIMEOUT) canStream = false
        pause(backoffMs(failures, Random.nextDouble(), error.retryAfterSecs))
    }

    private fun watch(opened: Closeable) {
        exchange = opened
        // A `close` that ran before the line above did not see this exchange.
        if (isClosed) opened.close()
    }

    private fun letGo() {
        stream?.answer?.close()
        stream = null
        exchange = null
    }

    /** Waits for [ms] milliseconds, or until [close]. */
    private fun pause(ms: Long) {
        closed.await(ms, TimeUnit.MILLISECONDS)
    }
}
