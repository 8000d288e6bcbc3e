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
 * Answers with a JWT for the signed-in user, from the app's own backend. Called on the thread of the call that needs it, when there is
 * no token, shortly before its end, and after a refusal.
 */
public fun interface TokenProvider {
    /**
     * With [forceRefresh] the API refused the last one: do not answer from a cache.
     *
     * @throws java.io.IOException for a failure that passes, such as no network: it is repeated. So is what has one as its cause, or a
     *   timeout. After any other exception the user has to sign in.
     */
    @Throws(Exception::class)
    public fun token(forceRefresh: Boolean): String
}

/** A token this close to its end is replaced first, so that it does not expire on its way. */
private const val RENEW_BEFORE_END_MS = 30_000L

/** Assumed for a token that cannot be read: the API has the last word. */
private const val ASSUMED_LIFETIME_MS = 60_000L

/** As long as a request waits for its answer. */
private const val WAIT_MS = 20_000L

/** A line break would end up in a header. */
private val TOKEN = Regex("[A-Za-z0-9_.~+/=-]+")

/** `iat` and `exp`, in Unix seconds. */
internal class TokenTimes(val iat: Long, val exp: Long)

/** The token, kept in memory and nowhere else. [elapsedMs] is a clock that nobody sets; [nowSecs] is the device's, which may be wrong, or set. */
internal class TokenSource(
    private val provider: TokenProvider,
    private val elapsedMs: () -> Long = { TimeUnit.NANOSECONDS.toMillis(System.nanoTime()) },
    private val nowSecs: () -> Long = { System.currentTimeMillis() / 1000 },
    private val waitMs: Long = WAIT_MS,
) {
    /** Counted on both clocks: Android's monotonic one stands still while the device sleeps. */
    private class Held(val token: String, val renewAtMs: Long, val renewAtSecs: Long)

    private val lock = Any()
    private var held: Held? = null
    private var pending: FutureTask<String>? = null
    private var forceRefresh = false

    /** A token that is good for a while. Callers at the same time share one request. */
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
                // One that is never answered does not hold up those who come later.
                synchronized(lock) { if (pending === shared) pending = null }
                throw ValetkeyException(Code.NETWORK, "The token provider did not answer in time.")
            } catch (failure: ExecutionException) {
                val cause = failure.cause
                // Whoever asked for all of us was interrupted; we were not.
                if (cause is InterruptedException && shared != null) continue
                throw cause ?: failure
            }
        }
    }

    /** Forgets a token that the API refused; another one that came meanwhile stays. */
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
            // Counted from before the request.
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
        // By its own times the token is not good now, and yet it was just handed out: the device's clock is wrong.
        val from = if (now in times.iat until times.exp) now else times.iat
        // A token out of a cache of the app's has only what is left of it.
        return (times.exp - from) * 1000
    }
}

/** What [provider] answers, if it can go into a header; its failures as errors with a code. */
internal fun asked(provider: TokenProvider, forceRefresh: Boolean): String = try {
    val token = provider.token(forceRefresh)
    if (!TOKEN.matches(token)) throw ValetkeyException(Code.NO_TOKEN, "The token provider did not answer with a token.")
    token
} catch (failure: InterruptedException) {
    throw failure
} catch (failure: ValetkeyException) {
    throw failure
} catch (failure: Exception) {
    // Whoever was interrupted is not to ask again, in whatever words a library says so.
    val wasInterrupted = Thread.interrupted()
    if (wasInterrupted || saysInterrupted(failure)) throw InterruptedException()
    val passes = generateSequence<Throwable>(failure) { it.cause }.take(MAX_CAUSES).any(::isPassing)
    throw ValetkeyException(if (passes) Code.NETWORK else Code.NO_TOKEN, "There is no token.", cause = failure)
}

/**
 * Whether a library that read on this thread says that it was interrupted. Android's own HTTP (okio 1) clears the thread's flag and has
 * only its words to tell it by; OkHttp says `timeout` with the same type.
 */
internal fun saysInterrupted(failure: Throwable): Boolean = generateSequence(failure) { if (isOfAnotherThread(it)) null else it.cause }
    .take(MAX_CAUSES)
    .any { it is InterruptedException || it is InterruptedIOException && it !is SocketTimeoutException && it.message in INTERRUPTED }

/** What is behind these may have befallen the thread of an executor, or of a coroutine that ran out of time. */
private fun isOfAnotherThread(failure: Throwable) = failure is ExecutionException || failure is CancellationException

private val INTERRUPTED = setOf("thread interrupted", "interrupted")

/** A coroutine that ran out of time is canceled. */
private fun isPassing(cause: Throwable) = cause is IOException || cause is TimeoutException || cause is CancellationException

/** Causes may be a circle. */
private const val MAX_CAUSES = 8

private val BASE64_URL = Base64.UrlSafe.withPadding(Base64.PaddingOption.ABSENT_OPTIONAL)

/** The times of a JWT. Nothing is verified: that is the API's work, and this only plans the next request. */
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
