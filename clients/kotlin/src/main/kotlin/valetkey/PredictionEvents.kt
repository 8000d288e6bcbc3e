package valetkey

import java.io.Closeable
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import kotlin.math.max
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

/** The delays between polls: the first, the growth, and the longest. */
private const val FIRST_POLL_MS = 1_000.0
private const val POLL_GROWTH = 1.3
private const val MAX_POLL_MS = 5_000.0

/**
 * The delay between polls is at least this long for each prediction that is polled. All of them together make at most 40
 * polls a minute, which leaves room within a limit of 60 requests a minute.
 */
private const val SHARE_MS = 1_500.0

/** After a 429, poll this many times before requesting a stream again. */
private const val POLLS_BEFORE_STREAM = 8
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
    /** Waits until the latch opens, for so many milliseconds at most. */
    private val waiting: (CountDownLatch, Long) -> Unit = { closed, ms -> closed.await(ms, TimeUnit.MILLISECONDS) },
) : Closeable {
    private class Stream(val answer: OpenAnswer) {
        val parser = SseParser()
        val unread = ArrayDeque<ServerEvent>()
    }

    private val closed = CountDownLatch(1)

    @Volatile
    private var exchange: Closeable? = null
    private var stream: Stream? = null
    private var lastId: String? = null
    private var last: Prediction? = null

    /** The first round that requests a stream. Each round opens a stream once, or polls once. */
    private var streamsFrom = 0
    private var rounds = 0

    /** When the next round may begin. */
    private var nextRound = Deadline(0)
    private var patience = Deadline(patienceMs)
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
            // No pause within a round, which goes on with the stream's next event.
            if (stream == null) pause(nextRound.leftMs)
            if (isClosed) break
            try {
                val polls = rounds < streamsFrom
                val pollers = transport.notePolling(this, polls)
                val prediction = if (polls) polled(pollers) else streamed(pollers)
                if (prediction == null || prediction == last) continue
                last = prediction
                if (prediction.hasEnded) close()
                return prediction
            } catch (error: ValetkeyException) {
                if (!isClosed) recover(error)
            }
        }
        transport.notePolling(this, false)
        return null
    }

    /** Stops reading. A [next] that waits for the API on another thread returns null. */
    override fun close() {
        closed.countDown()
        transport.notePolling(this, false)
        exchange?.close()
    }

    private val isClosed: Boolean get() = closed.count == 0L

    /** Returns the stream's next state, or null at its end: after five minutes, or when the token expires. */
    private fun streamed(pollers: Int): Prediction? {
        val stream = stream ?: open().also { stream = it }
        while (true) {
            val event = stream.unread.removeFirstOrNull()
            if (event == null) {
                val piece = stream.answer.read(Deadline(SILENCE_MS))
                if (piece == null) {
                    letGo()
                    endRound(pollMs(pollers))
                    return null
                }
                val comments = stream.parser.comments
                stream.unread.addAll(explained { stream.parser.push(piece) })
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

    private fun polled(pollers: Int): Prediction {
        val prediction = explained { predictionOf(transport.once(Call("GET", path), ::watch)) }
        failures = 0
        endRound(pollMs(pollers))
        return prediction
    }

    private fun pollMs(pollers: Int): Long = max(min(MAX_POLL_MS, FIRST_POLL_MS * POLL_GROWTH.pow(rounds)), SHARE_MS * pollers).toLong()

    private fun endRound(delayMs: Long) {
        rounds += 1
        nextRound = Deadline(delayMs)
    }

    private fun recover(error: ValetkeyException) {
        letGo()
        if (failures == 0) patience = Deadline(patienceMs)
        if (!transport.mayRepeat(error, isRepeatable = true) || patience.leftMs <= 0) {
            transport.notePolling(this, false)
            throw error
        }
        failures += 1
        // 429: four streams are open already, or a rate limit is reached. Poll for a while. Time-out: something on the
        // way, such as a proxy, holds the stream back. Poll from now on.
        if (error.status == TOO_MANY) streamsFrom = max(streamsFrom, rounds + POLLS_BEFORE_STREAM)
        if (error.code == Code.TIMEOUT) streamsFrom = Int.MAX_VALUE
        endRound(backoffMs(failures, Random.nextDouble(), error.retryAfterSecs))
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
        if (ms > 0) waiting(closed, ms)
    }
}
