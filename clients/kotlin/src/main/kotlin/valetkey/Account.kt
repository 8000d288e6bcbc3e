package valetkey

/** The limits of the user's plan and how much of them is used. Credits are decimal numbers. */
public data class Account(
    public val plan: String,
    public val creditsBalance: String,
    public val creditsSpent: String,
    public val creditsReserved: String,
    public val dailyCredits: String,
    public val predictions: Int,
    public val running: Int,
    public val waiting: Int,
)

internal fun accountOf(value: Any?): Account {
    val members = Members(value)
    val usage = members.required("usage")
    return Account(
        plan = members.text("plan"),
        creditsBalance = members.text("credits_balance"),
        creditsSpent = usage.text("credits_spent"),
        creditsReserved = usage.text("credits_reserved"),
        dailyCredits = members.required("limits").text("daily_credits"),
        predictions = usage.number("predictions").toInt(),
        running = usage.number("running").toInt(),
        waiting = usage.number("waiting").toInt(),
    )
}
