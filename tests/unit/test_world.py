"""The generated world: everything can be computed forwards and backwards, and nothing changes between two runs."""

from __future__ import annotations

import pytest

from twittomatic.emulator.generated import LARGEST, GeneratedGraph
from twittomatic.emulator.world import DELETED, PROTECTED, PUBLIC, SUSPENDED, World, id_at, unix_seconds
from twittomatic.errors import UserError


def world(users: int = 2000, seed: int = 7, **options: float) -> World:
    return World(GeneratedGraph(users, seed), seed, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("users", [1, 2, 3, 10, 50, 1000])
def test_followers_and_following_are_the_same_edges(users: int) -> None:
    graph = GeneratedGraph(users, 7)
    of_followers, of_following = set(), set()
    for one in range(users):
        followers = list(graph.followers(one, 0, users))
        assert len(set(followers)) == len(followers) == graph.followers_count(one)
        assert one not in followers
        assert list(graph.followers(one, 3, 7)) == followers[3:7]
        of_followers |= {(other, one) for other in followers}
        of_following |= {(one, other) for other in graph.following(one)}
    assert of_followers == of_following
    assert users < 10 or of_followers


@pytest.mark.parametrize("users", [1, 17, 5000, 10_000_000, LARGEST])
def test_an_id_leads_back_to_its_user(users: int) -> None:
    graph = GeneratedGraph(users, 3)
    sample = range(users) if users <= 5000 else range(0, users, users // 4999)
    ids = [graph.id_of(index) for index in sample]
    assert len(set(ids)) == len(ids)
    assert [graph.index_of(id_) for id_ in ids] == list(sample)
    known = set(ids)
    assert all(graph.index_of(id_ + 1) is None for id_ in ids if id_ + 1 not in known and users <= 5000)
    assert all(2 <= len(str(id_)) <= 19 for id_ in ids)


def test_ids_have_every_length_that_the_network_has() -> None:
    graph = GeneratedGraph(100_000, 1)
    assert {len(str(graph.id_of(index))) for index in range(100_000)} >= {2, 3, 4, 5, 8, 9, 10, 19}


def test_popularity_is_a_power_law() -> None:
    graph = GeneratedGraph(20_000, 1)
    counts = sorted(graph.followers_count(index) for index in range(graph.count))
    assert counts[0] == 0
    assert counts[10_000] <= 5
    assert counts[-1] > 2000
    assert sum(counts[-200:]) > sum(counts[:-200]) / 4


def test_activity_is_uneven_and_expected_right() -> None:
    graph = GeneratedGraph(20_000, 1)
    exact = [len(graph.following(index)) for index in range(0, 20_000, 40)]
    expected = [graph.following_count(index) for index in range(0, 20_000, 40)]
    assert max(exact) > 3 * sorted(exact)[250]
    assert abs(sum(exact) - sum(expected)) < 0.1 * sum(exact)


def test_a_world_of_impossible_size_is_refused() -> None:
    with pytest.raises(UserError, match="cannot have 0 users"):
        GeneratedGraph(0, 1)
    with pytest.raises(UserError, match="from 1 to"):
        GeneratedGraph(LARGEST + 1, 1)


def test_two_worlds_of_one_seed_are_equal_and_of_two_seeds_are_not() -> None:
    one, two, other = world(), world(), world(seed=8)
    assert [one.person(i) for i in range(100)] == [two.person(i) for i in range(100)]
    assert [one.person(i).base for i in range(100)] != [other.person(i).base for i in range(100)]


def test_users_are_found_by_id_and_by_name_in_any_case() -> None:
    small = world()
    for index in range(0, 2000, 13):
        person = small.person(index)
        assert small.by_id(str(person.id)) is person
        assert small.by_username(person.username.upper()) is person
        assert 1 <= len(person.username) <= 15
    for nobody in ("", "0", "007", "x", "12a", "99999999999999999999", "+12", "١٢"):
        assert small.by_id(nobody) is None
    for nobody in ("", "_", "nobody", "alba_zzzzzz", "alba_-1", "wrong_" + small.person(9).username.partition("_")[2]):
        assert small.by_username(nobody) is None


def test_posts_ascend_and_lead_back() -> None:
    small = world()
    for index in range(200):
        person = small.person(index)
        ids = [small.tweet_id(person, number) for number in range(min(300, person.base))]
        assert ids == sorted(set(ids))
        assert all(len(str(id_)) == 19 for id_ in ids)
        assert [small.find_tweet(str(id_)) for id_ in ids[:20]] == [(person, number) for number in range(len(ids[:20]))]
        assert [id_ for id_, _, _ in small.tweets(person, range(len(ids)))] == ids
        for number, id_ in enumerate(ids[:5]):
            assert small.first_after(person, id_) == number + 1
            assert small.first_at_or_after(person, id_) == number
            assert id_at(unix_seconds(id_) * 1000) <= id_
            assert unix_seconds(id_) >= person.created
    for nothing in ("", "1", "x", str(small.tweet_id(small.person(4), 0) + 1), "9" * 19):
        assert small.find_tweet(nothing) is None


def test_the_numbers_of_posts_have_a_long_tail_beyond_the_depth() -> None:
    small = world(5000)
    counts = sorted(small.tweet_count(small.person(index)) for index in range(5000))
    assert counts[0] == 0
    assert 10 < counts[2500] < 100
    assert counts[-1] > 3200
    assert sum(count > 3200 for count in counts) < 250


def test_advance_adds_newer_posts_to_one_or_to_a_portion() -> None:
    small = world()
    person, other = small.person(5), small.person(6)
    newest = small.tweet_id(person, person.base - 1)
    small.advance(3, index=5)
    assert small.tweet_count(person) == person.base + 3
    assert small.tweet_count(other) == other.base
    added = [small.tweet_id(person, person.base + number) for number in range(3)]
    assert newest < added[0] < added[1] < added[2]
    assert small.find_tweet(str(added[2])) == (person, person.base + 2)
    small.advance(2, portion=0.25)
    grown = sum(small.tweet_count(small.person(i)) - small.person(i).base == 2 for i in range(2000) if i != 5)
    assert 400 < grown < 600


def test_a_user_who_has_never_posted_can_begin() -> None:
    small = world()
    silent = next(small.person(index) for index in range(2000) if small.person(index).base == 0)
    assert small.tweet_count(silent) == 0
    small.advance(1, index=silent.index)
    assert small.find_tweet(str(small.tweet_id(silent, 0))) == (silent, 0)


def test_states_have_their_shares_and_can_be_changed() -> None:
    small = world(20_000, hidden=0.10)
    states = [small.state(index) for index in range(20_000)]
    assert 0.88 < states.count(PUBLIC) / 20_000 < 0.92
    assert states.count(PROTECTED) > states.count(SUSPENDED) > states.count(DELETED) > 0
    assert {world(500, hidden=0.0).state(index) for index in range(500)} == {PUBLIC}
    small.change_state(3, SUSPENDED)
    assert small.state(3) == SUSPENDED
    assert not small.is_listed(3)


def test_the_gone_are_not_listed_but_for_a_few() -> None:
    small = world(20_000, hidden=0.10)
    gone = [index for index in range(20_000) if small.is_gone(index)]
    listed = [index for index in gone if small.is_listed(index)]
    assert 0.15 < len(listed) / len(gone) < 0.35
    popular = max(range(2000), key=small.graph.followers_count)
    assert all(small.is_listed(one) for one in small.followers(popular))
    assert len(small.followers(popular)) < small.graph.followers_count(popular)
