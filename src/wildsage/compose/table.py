"""Every part there is: services, runtimes, controllers, what runs beside them. The only module that knows them all.

Loaded behind the open door (``process``), for its imports are most of the start: what must stand before is in
``foundation``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from wildsage.compose import machine
from wildsage.compose.foundation import Foundation, lay
from wildsage.core.invocations import invocation_limits
from wildsage.core.settings import (
    Settings,
    environments_folder,
)
from wildsage.gateway.audit import Audit
from wildsage.gateway.door import Door
from wildsage.gateway.local import Reset
from wildsage.gateway.parts import Command, by_service
from wildsage.images.environments import Environments
from wildsage.images.requirements import FOLDER as REQUIREMENTS
from wildsage.images.requirements import Requirements
from wildsage.images.seeking import seeker
from wildsage.kit.context import Platform
from wildsage.kit.controller import Controller, Engine
from wildsage.kit.operation import Service
from wildsage.kit.standing import Begin
from wildsage.services.applicationautoscaling.controller import ScalingController
from wildsage.services.applicationautoscaling.service import APPLICATION_AUTO_SCALING
from wildsage.services.applicationautoscaling.wake import Wake
from wildsage.services.cloudwatch import retention as metric_retention
from wildsage.services.cloudwatch.alarms import actions as alarm_actions
from wildsage.services.cloudwatch.alarms.watch import Watch
from wildsage.services.cloudwatch.service import CLOUDWATCH
from wildsage.services.ecr import expiry as image_expiry
from wildsage.services.ecr.distribution.door import Distribution
from wildsage.services.ecr.guards import Guards as RepositoryGuards
from wildsage.services.ecr.service import ECR
from wildsage.services.iam.service import IAM
from wildsage.services.lambda_.controller import FunctionController
from wildsage.services.lambda_.guards import Guards as FunctionGuards
from wildsage.services.lambda_.queued import Deliveries
from wildsage.services.lambda_.service import LAMBDA, served_by
from wildsage.services.lambda_.workers.pool import Workers
from wildsage.services.logs.service import LOGS
from wildsage.services.s3 import expiry, sweep
from wildsage.services.s3.cors import CrossOrigin
from wildsage.services.s3.guards import Guards as S3Guards
from wildsage.services.s3.notifications import delivery as s3_events
from wildsage.services.s3.service import SERVICE as S3
from wildsage.services.s3.upstream.forwarder import Forwarder
from wildsage.services.s3.upstream.service import in_front_of
from wildsage.services.sagemaker.asynchronous.delivery import Notices
from wildsage.services.sagemaker.asynchronous.dispatcher import Dispatcher
from wildsage.services.sagemaker.asynchronous.service import SAGEMAKER_RUNTIME
from wildsage.services.sagemaker.endpoints.controller import EndpointController
from wildsage.services.sagemaker.endpoints.errands import Errands
from wildsage.services.sagemaker.endpoints.instances import Instances
from wildsage.services.sagemaker.endpoints.multimodel.counting import Counting
from wildsage.services.sagemaker.endpoints.multimodel.loading import Loading
from wildsage.services.sagemaker.endpoints.routers import Routers
from wildsage.services.sagemaker.endpoints.routes import RoutePublisher
from wildsage.services.sagemaker.endpoints.shipping import Shipping
from wildsage.services.sagemaker.endpoints.tagging import Tagging
from wildsage.services.sagemaker.endpoints.traffic import Traffic
from wildsage.services.sagemaker.guards import Guards as SageMakerGuards
from wildsage.services.sagemaker.instance.attendant import Attendants
from wildsage.services.sagemaker.instance.health import patience_with
from wildsage.services.sagemaker.instance.images import Images, pip_settings
from wildsage.services.sagemaker.processing.controller import ProcessingController
from wildsage.services.sagemaker.service import SAGEMAKER
from wildsage.services.sagemaker.training.controller import TrainingController
from wildsage.services.sagemaker.training.interrupt import interrupt
from wildsage.services.sagemaker.training.warm.controller import WarmPoolController
from wildsage.services.sagemaker.transform.controller import TransformController
from wildsage.services.sns import delivery as sns_messages
from wildsage.services.sns.guards import Guards as TopicGuards
from wildsage.services.sns.service import SNS
from wildsage.services.sqs import retention
from wildsage.services.sqs.guards import Guards as QueueGuards
from wildsage.services.sqs.service import SQS
from wildsage.services.sts.service import STS

SERVICES: tuple[Service, ...] = (
    APPLICATION_AUTO_SCALING,
    CLOUDWATCH,
    ECR,
    IAM,
    LAMBDA,
    LOGS,
    S3,
    SAGEMAKER,
    SAGEMAKER_RUNTIME,
    SNS,
    SQS,
    STS,
)

COMMANDS: Mapping[str, Command] = {"interrupt": interrupt}


@dataclass(slots=True)
class Control:
    """One control process, put together."""

    foundation: Foundation
    routes: RoutePublisher
    tagging: Tagging
    engine: Engine
    attendants: Attendants
    errands: Errands
    loading: Loading
    dispatcher: Dispatcher
    workers: Workers
    forwarder: Forwarder | None

    @property
    def platform(self) -> Platform:
        return self.foundation.platform

    @property
    def door(self) -> Door:
        return self.foundation.door

    @property
    def audit(self) -> Audit:
        return self.foundation.audit

    def jobs(self) -> Mapping[str, Begin]:
        """What runs for as long as the process does, by what the log calls it; each can begin again (``standing``)."""
        platform = self.platform
        return {
            "the engine of controllers": self.engine.run,
            "the audit": self.audit.run,
            "the routing snapshot": self.foundation.snapshot.run,
            "the tags of endpoints": self.tagging.run,
            "the sweep of deleted objects": partial(sweep.run, platform),
            "the flush of small objects": sweep.Flushing(platform).run,
            "the expiry of objects": partial(expiry.run, platform),
            "the expiry of images": partial(image_expiry.run, platform),
            "the delivery of S3 events": s3_events.courier(platform).run,
            "the delivery of SNS messages": partial(sns_messages.run, platform),
            "the expiry of SQS messages": partial(retention.run, platform),
            "the dispatcher of asynchronous requests": self.dispatcher.run,
            "the delivery of asynchronous notices": Notices(platform, self.dispatcher.counts).run,
            "the meters": platform.meters.run,
            "the shipping of captured data": Shipping(platform).run,
            "the loading of models": self.loading.run,
            "the compaction of metrics": partial(metric_retention.run, platform),
            "the watch over alarms": Watch(platform).run,
            "the delivery of alarm actions": alarm_actions.courier(platform).run,
            "the wake of scaling": Wake(platform).run,
            "the sweep of the container engine": partial(machine.sweep, platform),
            "the workers of functions": self.workers.run,
            "the delivery of events to functions": Deliveries(platform, self.workers).run,
        }

    async def settled(self) -> None:
        """Returns once what was changed of endpoints' tags is in force at every router."""
        await self.tagging.settled()

    async def rest(self) -> None:
        """Nothing is launched any more once the jobs have ended."""
        await self.errands.close()

    async def close(self) -> None:
        """Keeps what was accepted; containers go on."""
        await self.rest()
        await self.attendants.close()
        if self.forwarder is not None:
            self.forwarder.close()
        await self.foundation.close()


def controllers(
    platform: Platform,
    environments: Environments,
    routes: RoutePublisher,
    attendants: Attendants,
    errands: Errands,
    routers: Routers,
) -> Sequence[Controller]:
    """Every controller."""
    runtime = machine.together(platform)
    folder = environments_folder(os.environ, platform.settings.data)
    requirements = Requirements(folder / REQUIREMENTS, platform.settings.data.instances, runtime)
    seeking = seeker(os.environ)
    images = Images(environments, pip_settings(os.environ), seeking, requirements)
    patience = patience_with(invocation_limits(os.environ).seconds)
    hosts = Instances(platform, runtime, images, attendants, routers, patience)
    return (
        TrainingController(platform, runtime, images, attendants),
        WarmPoolController(platform, runtime),
        ProcessingController(platform, runtime, images, attendants),
        TransformController(platform, runtime, images, attendants),
        EndpointController(platform, hosts, errands, routes),
        ScalingController(platform),
        FunctionController(platform, environments, seeking),
    )


async def complete(foundation: Foundation) -> Control:
    """Puts the rest on the foundation, whose door then answers for every service; no job runs yet."""
    platform, settings = foundation.platform, foundation.platform.settings
    await platform.database.create_tables()
    platform.runtimes = machine.runtimes(settings)
    services = {service.name: service for service in SERVICES}
    forwarder = None
    if settings.s3_upstream is not None:
        forwarder = Forwarder(settings.s3_upstream, platform.clock, settings.data.run)
        services[S3.name] = in_front_of(S3, forwarder)
    buckets, tagged = S3Guards(platform), SageMakerGuards(platform)
    guards = by_service(
        {
            "ecr": RepositoryGuards(platform),
            "s3": buckets,
            "sagemaker": tagged,
            "sagemaker-runtime": tagged,
            "sns": TopicGuards(platform),
            "sqs": QueueGuards(platform),
            "lambda": FunctionGuards(platform),
        }
    )
    attendants = Attendants(platform)
    routes = RoutePublisher(platform, foundation.snapshot.push)
    routers, errands = Routers(settings.data, foundation.client), Errands()
    environments = Environments(environments_folder(os.environ, settings.data), os.environ)
    workers = Workers(platform, machine.together(platform), environments)
    services[LAMBDA.name] = served_by(workers)
    engine = Engine(platform, controllers(platform, environments, routes, attendants, errands, routers))
    Traffic(platform, routers, routes.endpoints)
    counting = Counting(platform, foundation.client, routes.endpoints)
    loading = Loading(platform, routers, foundation.client, counting)
    dispatcher = Dispatcher(platform, foundation.client, routers.own)
    routes.listen(dispatcher.take)
    await routes.publish_all()  # what a crash left unsaid
    foundation.parts.take(services, guards, CrossOrigin(buckets), COMMANDS, Distribution(platform))
    return Control(
        foundation,
        routes,
        Tagging(platform, routes),
        engine,
        attendants,
        errands,
        loading,
        dispatcher,
        workers,
        forwarder,
    )


async def compose(settings: Settings, reset: Reset | None = None) -> Control:
    """All of it at once."""
    return await complete(await lay(settings, reset))
