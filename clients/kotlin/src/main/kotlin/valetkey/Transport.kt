package valetkey

import java.io.ByteArrayOutputStream
import java.io.Closeable
import java.io.IOException
import java.net.SocketTimeoutException
import java.nio.ByteBuffer
import java.nio.charset.CharacterCodingException
import java.util.Collections
import java.util.WeakHashMap
import kotlin.random.Random

internal const val DEFAULT_TIMEOUT_MS = 20_000L

/**
 * How long a create is repeated while the first one with its key is in flight: a little longer than the Worker may wait
 * for the vendor.
 */
private const val IN_PROGRESS_MS = 60_000L

/** 4 MiB, four times the size of a page of 100 predictions. */
private const val MAX_ANSWER_BYTES = 4 shl 20

private const val NO_CONTENT = 204
internal const val UNAUTHORIZED = 401

/** A request without its token. */
internal class Call(
    val method: String,
    /** Starts with `/v1`. */
    val path: String,
    val headers: Map<String, String> = emptyMap(),
    val body: Body? = null,
    val timeoutMs: Long = DEFAULT_TIMEOUT_MS,
    /** The longest time without a byte from the server. */
    val silenceMs: Long = timeoutMs,
    /** Whether sending it twice is harmless. */
    val isRepeatable: Boolean = true,
    /** Called on the calling thread with the number of bytes of the file that were sent. */
    val onSent: (Long) -> Unit = {},
)

/** A successful response whose body is not read yet. */
internal class OpenAnswer(private val exchange: HttpExchange, val head: HttpHead) : Closeable by exchange {
    /** Returns the next bytes of the body, or null at its end. */
    fun read(deadline: Deadline): ByteArray? = explained { exchange.read(deadline) }
}

/**
 * The layer between [Valetkey] and [HttpExchange]: adds the token, limits the time, retries, and maps failures to
 * errors.
 */
internal class Transport(baseUrl: String, private val options: Options, provider: TokenProvider) {
    private val base = checkedBase(baseUrl, options.allowHttp)
    private val tokens = TokenSource(provider)

    /** The events that are polling. Weak, so that events that an app forgot to close do not slow the others down. */
    private val pollers = Collections.newSetFromMap(WeakHashMap<Any, Boolean>())

    /** Notes whether [events] is polling. Returns how many are. */
    fun notePolling(events: Any, isPolling: Boolean): Int = synchronized(pollers) {
        if (isPolling) pollers.add(events) else pollers.remove(events)
        pollers.size
    }

    /** Sends a request, retries it where that helps, and returns the parsed response. */
    fun call(call: Call): Any? {
        val inProgress = Deadline(IN_PROGRESS_MS)
        var tries = 1
        while (true) {
            val error = try {
                return once(call)
            } catch (error: ValetkeyException) {
                error
            }
            // While the first create with a key is in flight, the API refuses the second with `Retry-After: 1`. Those
            // refusals are limited by time, and do not count as tries.
            val isSecond = error.code == Code.IDEMPOTENCY_IN_PROGRESS
            val isLast = if (isSecond) inProgress.leftMs <= 0 else tries >= options.maxTries
            if (isLast || !mayRepeat(error, call.isRepeatable)) throw error
            Thread.sleep(backoffMs(tries, Random.nextDouble(), error.retryAfterSecs))
            if (!isSecond) tries += 1
        }
    }

    fun mayRepeat(error: ValetkeyException, isRepeatable: Boolean): Boolean = mayRepeat(error, isRepeatable, options.longestWaitSecs)

    /**
     * Sends a request once, and a second time with a new token if the API refuses the first token. Passes each exchange
     * to [watch] before waiting for it, so that another thread can close it.
     */
    fun open(call: Call, deadline: Deadline, watch: (Closeable) -> Unit): OpenAnswer {
        var isRefused = false
        while (true) {
            val token = tokens.get()
            val headers = headers(call, token)
            // The exchange runs on its own thread. It could send the request before this thread notices an interrupt.
            if (Thread.interrupted()) throw InterruptedException()
            val exchange = HttpExchange(HttpRequest(call.method, base + call.path, headers, call.body, call.silenceMs.toInt()))
            watch(exchange)
            val error = closedUnlessKept(exchange) {
                val head = exchange.head(deadline, call.onSent)
                if (head.isSuccess) return OpenAnswer(exchange, head)
                errorOf(head, readError(exchange, deadline))
            }
            exchange.close()
            if (error.status != UNAUTHORIZED || isRefused) throw error
            // The token was revoked, or expired earlier than expected. Try once more with a new one.
            tokens.refuse(token)
            isRefused = true
        }
    }

    /** Sends a request once and returns the parsed response, or null for a 204. */
    fun once(call: Call, watch: (Closeable) -> Unit = {}): Any? {
        val deadline = Deadline(call.timeoutMs)
        return open(call, deadline, watch).use { answer ->
            if (answer.head.status == NO_CONTENT) null else explained { parseJson(readText { answer.read(deadline) }) }
        }
    }

    private fun headers(call: Call, token: String): Map<String, String> {
        val appCheck = options.appCheck?.let { asked(it, forceRefresh = false) }
        val attestation = if (appCheck == null) emptyMap() else mapOf("X-Firebase-AppCheck" to appCheck)
        return call.headers + attestation + mapOf("Authorization" to "Bearer $token")
    }

    /** Returns the parsed body of an error response, or null if it cannot be read or is not JSON. */
    private fun readError(exchange: HttpExchange, deadline: Deadline): Any? = try {
        parseJson(readText { exchange.read(deadline) })
    } catch (failure: IOException) {
        if (saysInterrupted(failure)) throw failure
        null
    } catch (_: JsonException) {
        null
    } catch (_: TooLongException) {
        null
    }
}

internal class TooLongException : Exception("the response is too long")

private inline fun readText(next: () -> ByteArray?): String {
    val bytes = ByteArrayOutputStream()
    while (true) {
        val piece = next() ?: break
        if (bytes.size() + piece.size > MAX_ANSWER_BYTES) throw TooLongException()
        bytes.write(piece)
    }
    return Charsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes.toByteArray())).toString()
}

private inline fun <T> closedUnlessKept(exchange: HttpExchange, use: () -> T): T = try {
    explained(use)
} catch (failure: Throwable) {
    exchange.close()
    throw failure
}

/**
 * Maps failures of the platform and of parsers to a [ValetkeyException] with a code, and a reported interrupt to
 * `InterruptedException`.
 */
internal inline fun <T> explained(use: () -> T): T = try {
    use()
} catch (failure: SocketTimeoutException) {
    throw ValetkeyException(Code.TIMEOUT, "No response in time.", cause = failure)
} catch (failure: CharacterCodingException) {
    throw unreadable(failure)
} catch (failure: IOException) {
    if (saysInterrupted(failure)) throw InterruptedException()
    throw ValetkeyException(Code.NETWORK, "No response.", cause = failure)
} catch (failure: JsonException) {
    throw unreadable(failure)
} catch (failure: ShapeException) {
    throw unreadable(failure)
} catch (failure: EventTooLongException) {
    throw unreadable(failure)
} catch (failure: TooLongException) {
    throw unreadable(failure)
}

internal fun unreadable(cause: Exception) = ValetkeyException(Code.UNREADABLE_ANSWER, "The response is not from Valetkey.", cause = cause)
