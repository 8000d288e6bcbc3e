// What the page reads less often than the state: spend, refusals, and the users of today.
import type { Api } from "./api.ts";
import type { DaySpend, Page, Refusal, UserSpend } from "./shapes.ts";

/** Pages of users that are read. The API sorts users by their key, so the top of them is known only after all. */
const USER_PAGES = 5;
const PAGE_SIZE = 1_000;

export async function readSpend(api: Api, from: string, to: string): Promise<DaySpend[]> {
  return (await api.get<Page<DaySpend>>(`spend?by=day&from=${from}&to=${to}`)).data;
}

export async function readRefusals(api: Api, from: string, to: string): Promise<Refusal[]> {
  return (await api.get<{ data: Refusal[] }>(`refusals?from=${from}&to=${to}`)).data;
}

/** Returns what each user spent on a day. `isWhole` is false if there are more users than are read. */
export async function readUsers(api: Api, day: string): Promise<{ rows: UserSpend[]; isWhole: boolean }> {
  const rows: UserSpend[] = [];
  let cursor = "";
  for (let page = 0; page < USER_PAGES; page += 1) {
    const { data, next_cursor: next } = await api.get<Page<UserSpend>>(`spend?by=user&from=${day}&to=${day}&limit=${PAGE_SIZE}${cursor}`);
    rows.push(...data);
    if (next === null) return { rows, isWhole: true };
    cursor = `&cursor=${encodeURIComponent(next)}`;
  }
  return { rows, isWhole: false };
}
