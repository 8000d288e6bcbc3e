package valetkey

import java.io.IOException
import java.io.InterruptedIOException
import java.net.SocketTimeoutException
import java.util.concurrent.CancellationException
import java.util.concurrent.ExecutionException
import java.util.concurrent.FutureTask
import java.util.concurrent.TimeUnit
import java.util.concurrent.TimeoutException
import kotlin.io.encoding.Base64
import kotlin.math.max

/**
 * The app's source of JWTs for the signed-in user, such as its own backend. The client calls it when it has no token,
 * shortly before the token expires, and after the API refused one. It runs on the thread of the call that needs the
 * token.
 */
public fun interface TokenProvider {
    /**
     * Returns a token. If [forceRefresh] is true, the API refused the last one: do not return a cached token.
     *
     * @throws java.io.IOException for a temporary failure, such as no network: the client retries. It also retries
     *   after a time-out and after an exception that an `IOException` caused. After any other exception the user has to
     *   sign in.
     */
    @Throws(Exception::class)
    public fun token(forceRefresh: Boolean): String
}

/** A token that expires this soon is replaced before it is used, so that it does not expire in transit. */
private const val RENEW_BEFORE_END_MS = 30_000L

/** The assumed lifetime of a token that cannot be read. The API decides whether it is valid. */
private const val ASSUMED_LIFETIME_MS = 60_000L

/** How long a thread waits for another thread's token request: as long as a request waits for its response. */
private const val WAIT_MS = 20_000L

/** The characters allowed in a token. A line break would inject a header. */
private val TOKEN = Regex("[A-Za-z0-9_.~+/=-]+")

/** `iat` and `exp` of a JWT, in Unix seconds. */
internal class TokenTimes(val iat: Long, val exp: Long)

/**
 * The current token, kept in memory only. [elapsedMs] reads a monotonic clock. [nowSecs] reads the device's wall clock,
 * which may be wrong and may be changed.
 */
internal class TokenSource(
    private val provider: TokenProvider,
    private val elapsedMs: () -> Long = { TimeUnit.NANOSECONDS.toMillis(System.nanoTime()) },
    private val nowSecs: () -> Long = { System.currentTimeMillis() / 1000 },
    private val waitMs: Long = WAIT_MS,
) {
    /** A token and its time of renewal on both clocks: Android's monotonic clock stops while the device sleeps. */
    private class Held(val token: String, val renewAtMs: Long, val renewAtSecs: Long)

    private val lock = Any()
    private var held: Held? = null
    private var pending: FutureTask<String>? = null
    private var forceRefresh = false

    /** Returns a token that does not expire soon. Concurrent callers share one request to the provider. */
    fun get(): String {
        while (true) {
            lateinit var own: FutureTask<String>
            val shared: FutureTask<String>?
            synchronized(lock) {
                held?.let { if (elapsedMs() < it.renewAtMs && nowSecs() < it.renewAtSecs) return it.token }
                own = FutureTask { renew(own) }
                shared = pending
                if (shared == null) pending = own
            }
            try {
                if (shared != null) return shared.get(waitMs, TimeUnit.MILLISECONDS)
                own.run()
                return own.get()
            } catch (_: TimeoutException) {
                // A request that never completes must not block later callers.
                synchronized(lock) { if (pending === shared) pending = null }
                throw ValetkeyException(Code.NETWORK, "The token provider did not respond in time.")
            } catch (failure: ExecutionException) {
                val cause = failure.cause
                // The thread that made the shared request was interrupted. This one was not, and tries itself.
                if (cause is InterruptedException && shared != null) continue
                throw cause ?: failure
            }
        }
    }

    /** Forgets a token that the API refused. A newer token that arrived meanwhile stays. */
    fun refuse(token: String): Unit = synchronized(lock) {
        if (held?.token != token) return
        held = null
        forceRefresh = true
    }

    private fun renew(request: FutureTask<String>): String {
        try {
            val askedAtMs = elapsedMs()
            val askedAtSecs = nowSecs()
            val token = asked(provider, synchronized(lock) { forceRefresh })
            // The lifetime counts from before the request: when the provider made the token is not known.
            val leftMs = readTimes(token)?.let(::leftMs) ?: ASSUMED_LIFETIME_MS
            val goodMs = max(leftMs - RENEW_BEFORE_END_MS, leftMs / 2)
            synchronized(lock) {
                held = Held(token, askedAtMs + goodMs, askedAtSecs + TimeUnit.MILLISECONDS.toSeconds(goodMs))
                forceRefresh = false
            }
            return token
        } finally {
            synchronized(lock) { if (pending === request) pending = null }
        }
    }

    private fun leftMs(times: TokenTimes): Long {
        val now = nowSecs()
        // A token that was just handed out is valid. If its own times say otherwise, the device's clock is wrong.
        val from = if (now in times.iat until times.exp) now else times.iat
        // A token from the app's own cache counts only for its remaining lifetime.
        return (times.exp - from) * 1000
    }
}

/**
 * Returns the token of [provider] if it is safe in a header. Maps the provider's failures to a [ValetkeyException] with
 * a code.
 */
internal fun asked(provider: TokenProvider, forceRefresh: Boolean): String = try {
    val token = provider.token(forceRefresh)
    if (!TOKEN.matches(token)) throw ValetkeyException(Code.NO_TOKEN, "The token provider did not return a token.")
    token
} catch (failure: InterruptedException) {
    throw failure
} catch (failure: ValetkeyException) {
    throw failure
} catch (failure: Exception) {
    // An interrupted thread must not try again, however a library reports the interrupt.
    val wasInterrupted = Thread.interrupted()
    if (wasInterrupted || saysInterrupted(failure)) throw InterruptedException()
    val passes = generateSequence<Throwable>(failure) { it.cause }.take(MAX_CAUSES).any(::isPassing)
    throw ValetkeyException(if (passes) Code.NETWORK else Code.NO_TOKEN, "Getting a token failed.", cause = failure)
}

/**
 * Returns whether [failure] reports an interrupt of this thread. Android's own HTTP stack (okio 1) clears the thread's
 * interrupt flag and throws `InterruptedIOException`. OkHttp throws the same type with the message `timeout`, so only
 * the message tells.
 */
internal fun saysInterrupted(failure: Throwable): Boolean = generateSequence(failure) { if (isOfAnotherThread(it)) null else it.cause }
    .take(MAX_CAUSES)
    .any { it is InterruptedException || it is InterruptedIOException && it !is SocketTimeoutException && it.message in INTERRUPTED }

/**
 * Returns whether the cause of [failure] may come from another thread: an executor's, or that of a coroutine that timed
 * out.
 */
private fun isOfAnotherThread(failure: Throwable) = failure is ExecutionException || failure is CancellationException

private val INTERRUPTED = setOf("thread interrupted", "interrupted")

/** Returns whether [cause] is temporary. A coroutine that timed out throws a `CancellationException`. */
private fun isPassing(cause: Throwable) = cause is IOException || cause is TimeoutException || cause is CancellationException

/** Limits the walk along a chain of causes, which may be a cycle. */
private const val MAX_CAUSES = 8

private val BASE64_URL = Base64.UrlSafe.withPadding(Base64.PaddingOption.ABSENT_OPTIONAL)

/**
 * Returns the times of a JWT, or null if it cannot be read. Verifies nothing: the API does. The times only schedule the
 * next renewal.
 */
internal fun readTimes(token: String): TokenTimes? = try {
    val claims = parseJson(BASE64_URL.decode(token.split('.').getOrElse(1) { "" }).decodeToString()) as? Map<*, *>
    val iat = claims?.get("iat") as? Long
    val exp = claims?.get("exp") as? Long
    if (iat != null && exp != null && exp > iat) TokenTimes(iat, exp) else null
} catch (_: IllegalArgumentException) {
    null
} catch (_: JsonException) {
    null
}
