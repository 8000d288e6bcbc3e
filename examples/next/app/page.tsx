import { currentUser } from "../lib/session";
import { signIn } from "./actions";
import { Studio } from "./studio";

export default async function Page() {
  const user = await currentUser();
  return (
    <>
      <h1>Create a picture</h1>
      <form action={signIn}>
        <label htmlFor="name">Name</label>
        <input id="name" name="name" autoComplete="username" maxLength={255} required />
        <button>Sign in</button>
        {user !== null && <p>Signed in as {user}.</p>}
      </form>
      <Studio user={user} valetkeyUrl={process.env.VALETKEY_URL ?? "http://127.0.0.1:8787"} />
    </>
  );
}
