// Decides whether a failed request is retried, and after how long.
package valetkey

import kotlin.math.max
import kotlin.math.min

private const val FIRST_DELAY_MS = 500.0
private const val MAX_DELAY_MS = 8_000.0

/** Bounds the shift below. The delay reaches [MAX_DELAY_MS] earlier. */
private const val MAX_DOUBLINGS = 10

/** The random share added to a `Retry-After`, so that clients that were refused together do not return together. */
private const val RETRY_AFTER_SPREAD = 0.2

/** Returns the back-off after the [tries]-th failure in a row, in milliseconds. [random] is in [0, 1). */
internal fun backoffMs(tries: Int, random: Double, retryAfterSecs: Long?): Long {
    val doublings = min(tries - 1, MAX_DOUBLINGS)
    val exponential = min(MAX_DELAY_MS, FIRST_DELAY_MS * (1 shl doublings)) * (0.5 + random / 2)
    val asked = (retryAfterSecs ?: 0) * 1000 * (1 + RETRY_AFTER_SPREAD * random)
    return max(exponential, asked).toLong()
}

/**
 * Returns whether the client retries the request by itself. [isRepeatable] means that sending it twice is harmless. A
 * `Retry-After` above [longestWaitSecs] is left to the app, which has to tell the user.
 */
internal fun mayRepeat(error: ValetkeyException, isRepeatable: Boolean, longestWaitSecs: Long): Boolean {
    if ((error.retryAfterSecs ?: 0) > longestWaitSecs) return false
    if (error.advice == Advice.WAIT) return true
    // The create failed behind the API and left a prediction. The client reads that one instead.
    if (error.advice != Advice.REPEAT || !isRepeatable || error.jobId != null) return false
    val status = error.status ?: 0
    // An unreadable 403 or 404 comes from a wrong address, which a retry does not change.
    return error.code != Code.UNREADABLE_ANSWER || status < 300 || status == 429 || status >= 500
}
