"""What the models promise of uniqueness stands in the database: a migration may lose it without a word."""

import pytest
from django.apps import apps
from django.db import connection

MODELS = [model for model in apps.get_app_config("devices").get_models() if model._meta.managed]


@pytest.mark.django_db
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_constraint_and_index_of_a_model_is_in_the_database(model):
    promised = {each.name for each in (*model._meta.constraints, *model._meta.indexes)}
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, model._meta.db_table)
    assert promised <= found.keys()
