"""What the services decide."""

import pytest

from flux.gateway import contract
from flux.gateway.stores import Auth, Notifications, RefusedError, Users


def _create(users: Users, name: str) -> contract.User:
    return users.create(contract.CreateUserRequest(name))


def test_user_is_found_by_id_and_by_name() -> None:
    users = Users()
    user = _create(users, "ann")
    assert users.get(contract.GetUserRequest(user.id)) == user
    assert users.find(contract.FindUserRequest("ann")) == user


def test_name_that_is_taken_is_refused() -> None:
    users = Users()
    _create(users, "ann")
    with pytest.raises(RefusedError, match="username 'ann' is taken") as caught:
        _create(users, "ann")
    assert caught.value.status == "ALREADY_EXISTS"


@pytest.mark.parametrize(
    ("name", "rule"),
    [(" \t", "username must not be blank"), ("a" * 101, "at most 100 characters, got 101")],
)
def test_name_that_cannot_be_is_refused(name: str, rule: str) -> None:
    with pytest.raises(RefusedError, match=rule) as caught:
        _create(Users(), name)
    assert caught.value.status == "INVALID_ARGUMENT"


def test_full_users_store_forgets_its_oldest_and_frees_the_name() -> None:
    users = Users(max_users=2)
    oldest = _create(users, "ann")
    _create(users, "bob")
    _create(users, "eve")
    with pytest.raises(RefusedError, match="no user has the id") as caught:
        users.get(contract.GetUserRequest(oldest.id))
    assert caught.value.status == "NOT_FOUND"
    assert _create(users, "ann").id != oldest.id


def test_deleted_user_frees_the_name_and_deleting_again_is_no_error() -> None:
    users = Users()
    user = _create(users, "ann")
    for _ in range(2):
        users.delete(contract.DeleteUserRequest(user.id))
    assert _create(users, "ann").id != user.id


def test_only_the_password_that_was_set_logs_in() -> None:
    auth = Auth()
    auth.set_password(contract.SetPasswordRequest("u1", "right"))
    assert auth.log_in(contract.LogInRequest("u1", "right")).token
    for user_id, password in [("u1", "wrong"), ("u1", ""), ("u2", "right")]:
        with pytest.raises(RefusedError, match="unknown username or wrong password") as caught:
            auth.log_in(contract.LogInRequest(user_id, password))
        assert caught.value.status == "UNAUTHENTICATED"


def test_full_auth_store_forgets_its_oldest() -> None:
    auth = Auth(max_users=1)
    auth.set_password(contract.SetPasswordRequest("u1", "one"))
    auth.set_password(contract.SetPasswordRequest("u2", "two"))
    assert auth.log_in(contract.LogInRequest("u2", "two")).token
    with pytest.raises(RefusedError, match="wrong password"):
        auth.log_in(contract.LogInRequest("u1", "one"))


def test_notifications_keep_the_last_messages() -> None:
    notifications = Notifications(max_messages=2)
    for number in range(5):
        notifications.queue(contract.QueueRequest("u1", f"message {number}"))
    assert [message.text for message in notifications.messages] == ["message 3", "message 4"]
