package valetkey

import java.io.ByteArrayOutputStream
import java.io.Closeable
import java.io.IOException
import java.net.SocketTimeoutException
import java.nio.ByteBuffer
import java.nio.charset.CharacterCodingException
import kotlin.math.min
import kotlin.random.Random

internal const val DEFAULT_TIMEOUT_MS = 20_000L

/** As long as the Worker may wait for the vendor, and a little. */
private const val IN_PROGRESS_MS = 60_000L

/** A page of a hundred predictions is a quarter of it. */
private const val MAX_ANSWER_BYTES = 4 shl 20

private const val NO_CONTENT = 204
internal const val UNAUTHORIZED = 401

/** A request before the token is added. */
internal class Call(
    val method: String,
    /** From `/v1` on. */
    val path: String,
    val headers: Map<String, String> = emptyMap(),
    val body: Body? = null,
    val timeoutMs: Long = DEFAULT_TIMEOUT_MS,
    /** How long the connection may be silent. */
    val silenceMs: Long = timeoutMs,
    /** Whether to send it twice does no harm. */
    val isRepeatable: Boolean = true,
)

/** An answer that is a success and not read yet. */
internal class OpenAnswer(private val exchange: HttpExchange, val head: HttpHead) : Closeable by exchange {
    /** The next bytes; null at the end. */
    fun read(deadline: Deadline): ByteArray? = explained { exchange.read(deadline) }
}

/** One request with everything that goes with it: token, time limit, repetition, errors. */
internal class Transport(baseUrl: String, private val options: Options, provider: TokenProvider) {
    private val base = checkedBase(baseUrl)
    private val tokens = TokenSource(provider)

    /** The parsed answer of a request that is repeated where that helps. */
    fun call(call: Call): Any? {
        val inProgress = Deadline(IN_PROGRESS_MS)
        var tries = 0
        while (true) {
            tries += 1
            val error = try {
                return once(call)
            } catch (error: ValetkeyException) {
                error
            }
            // While the first of two is on its way the second is told so each second.
            val isLast = if (error.code == Code.IDEMPOTENCY_IN_PROGRESS) inProgress.leftMs <= 0 else tries >= options.maxTries
            if (isLast || !mayRepeat(error, call.isRepeatable)) throw error
            Thread.sleep(backoffMs(min(tries, options.maxTries), Random.nextDouble(), error.retryAfterSecs))
        }
    }

    fun mayRepeat(error: ValetkeyException, isRepeatable: Boolean): Boolean = mayRepeat(error, isRepeatable, options.longestWaitSecs)

    /** Sends it once, but for a second time with a new token. [watch] is told of each exchange before it is waited for. */
    fun open(call: Call, deadline: Deadline, watch: (Closeable) -> Unit): OpenAnswer {
        var isRefused = false
        while (true) {
            val token = tokens.get()
            val headers = headers(call, token)
            // An exchange begins on its own thread, and might send before this one notices.
            if (Thread.interrupted()) throw InterruptedException()
            val exchange = HttpExchange(HttpRequest(call.method, base + call.path, headers, call.body, call.silenceMs.toInt()))
            watch(exchange)
            val error = closedUnlessKept(exchange) {
                val head = exchange.head(deadline)
                if (head.isSuccess) return OpenAnswer(exchange, head)
                errorOf(head, readError(exchange, deadline))
            }
            exchange.close()
            if (error.status != UNAUTHORIZED || isRefused) throw error
            // Revoked, or older than we thought: once more with a new token.
            tokens.refuse(token)
            isRefused = true
        }
    }

    /** The parsed answer of a request that is sent once. */
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

    /** What an error says of itself; null where it is not Valetkey's. */
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

internal class TooLongException : Exception("the answer is too long")

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

/** Failures of the platform and of parsers, as errors with a code. */
internal inline fun <T> explained(use: () -> T): T = try {
    use()
} catch (failure: SocketTimeoutException) {
    throw ValetkeyException(Code.TIMEOUT, "No answer in time.", cause = failure)
} catch (failure: CharacterCodingException) {
    throw unreadable(failure)
} catch (failure: IOException) {
    if (saysInterrupted(failure)) throw InterruptedException()
    throw ValetkeyException(Code.NETWORK, "No answer.", cause = failure)
} catch (failure: JsonException) {
    throw unreadable(failure)
} catch (failure: ShapeException) {
    throw unreadable(failure)
} catch (failure: EventTooLongException) {
    throw unreadable(failure)
} catch (failure: TooLongException) {
    throw unreadable(failure)
}

internal fun unreadable(cause: Exception) = ValetkeyException(Code.UNREADABLE_ANSWER, "The answer is not Valetkey's.", cause = cause)

private val SECURE = Regex("https://[^/?#@\\s]+(/[^?#\\s]*)?", RegexOption.IGNORE_CASE)

/** 10.0.2.2 is how an Android emulator calls the machine that it runs on. */
private val THIS_MACHINE = Regex("http://(localhost|127\\.[0-9]+\\.[0-9]+\\.[0-9]+|\\[::1]|10\\.0\\.2\\.2)(:[0-9]+)?", RegexOption.IGNORE_CASE)

/** A token that is sent without encryption is given away: https, or this machine. */
internal fun checkedBase(baseUrl: String): String {
    val base = baseUrl.trimEnd('/')
    require(SECURE.matches(base) || THIS_MACHINE.matches(base)) { "baseUrl must be an https URL, or http on this machine" }
    return base
}
